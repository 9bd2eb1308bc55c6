/** Of the control plane and of the agent that it serves; nodes tell theirs when they join. */
export const version = '0.1.0'

/** By their numbers, from the left. What is no number is not compared. */
export function isOlderVersion(one: string, other: string): boolean {
  const [mine, theirs] = [one, other].map((text) => text.split(/[.+-]/).map(Number))
  for (const [i, number] of (mine ?? []).entries()) {
    const theirsHere = theirs?.[i]
    if (theirsHere === undefined || Number.isNaN(number) || Number.isNaN(theirsHere)) return false
    if (number !== theirsHere) return number < theirsHere
  }
  return false
}
