/** Where what was changed is shown; null where it has no page. */
export function pageOf(target: string): string | null {
  if (/^la-\w+$/.test(target)) return `/launches/${target}`
  if (/^no-\w+$/.test(target)) return `/nodes/${target}`
  return /^de-\w+$/.test(target) ? `/deployments/${target}` : null
}

/** `wanted: 2, from: 1`, as far as a line goes; the whole is shown on request. */
export function shortly(detail: Readonly<Record<string, unknown>>, longest = 80): string {
  const words = Object.entries(detail)
    .filter(([, value]) => value !== null && value !== '')
    .map(([name, value]) => `${name}: ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
    .join(', ')
  return words.length > longest ? `${words.slice(0, longest)} …` : words
}
