import { humanRough } from '../core/human-time.ts'

/** How long ago, or `-` where it never was. A clock that is behind the server's shows no negative ages. */
export function ageOf(iso: string | null, now: number): string {
  return iso === null ? '-' : humanRough(now - Date.parse(iso))
}

/** Between two moments; an open end is now. */
export function msBetween(from: string, to: string | null, now: number): number {
  return Math.max(0, (to === null ? now : Date.parse(to)) - Date.parse(from))
}
