const units = ['kB', 'MB', 'GB', 'TB'] as const

/** `830 MB`, `5.1 GB`: as disks and networks are sold, by the thousand. */
export function humanBytes(bytes: number): string {
  let value = bytes / 1_000
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000
    unit += 1
  }
  return `${value < 9.95 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`
}

/** Size and speed of what is fetched; empty where nothing was measured. */
export function sizeWords({ bytes, bytesPerS }: { bytes: number | null; bytesPerS: number | null }): string {
  if (bytes === null || bytes === 0) return ''
  return bytesPerS ? `${humanBytes(bytes)} at ${humanBytes(bytesPerS)}/s` : humanBytes(bytes)
}
