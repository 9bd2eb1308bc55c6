/** A gate that lets the same word through once in a while: what anybody can cause must not fill a log. */
export function oncePer(ms: number, now: () => number, mostKeys = 10_000): (key: string) => boolean {
  const last = new Map<string, number>()
  return (key) => {
    const before = last.get(key)
    if (before !== undefined && now() - before < ms) return false
    if (last.size >= mostKeys) last.clear()
    last.set(key, now())
    return true
  }
}
