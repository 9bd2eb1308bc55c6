const second = 1_000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** `0.4s`, `42s`, `3m12s`, `2h05m`, `3d04h`: two units at most, so that columns stay narrow. */
export function humanMs(ms: number): string {
  const left = Math.max(0, ms)
  if (left < 10 * second) return `${(Math.floor(left / 100) / 10).toFixed(1)}s`
  if (left < minute) return `${Math.floor(left / second)}s`
  if (left < hour) return `${Math.floor(left / minute)}m${two((left % minute) / second)}s`
  if (left < day) return `${Math.floor(left / hour)}h${two((left % hour) / minute)}m`
  return `${Math.floor(left / day)}d${two((left % day) / hour)}h`
}

/** As `humanMs` without tenths: ages and forecasts are not known that well. */
export function humanRough(ms: number): string {
  return ms < 10 * second ? `${Math.round(Math.max(0, ms) / second)}s` : humanMs(ms)
}

const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')

const unitMs: Readonly<Record<string, number>> = { s: second, m: minute, h: hour, d: day }

/** Seconds of `90`, `90s`, `15m`, `1h30m` or `2d`; null for anything else. */
export function secondsOf(text: string): number | null {
  if (/^\d+$/.test(text)) return Number(text)
  if (!/^(\d+[smhd])+$/.test(text)) return null
  const parts = text.match(/\d+[smhd]/g) ?? []
  return parts.reduce((sum, part) => sum + Number.parseInt(part, 10) * (unitMs[part.slice(-1)] ?? 0), 0) / second
}
