/** One line of /proc/PID/stat, as far as it is needed. `startTime` is in ticks since boot: with the pid it names a process for good. */
export interface ProcStat {
  readonly pid: number
  readonly state: string
  readonly parent: number
  readonly group: number
  readonly session: number
  readonly startTime: string
}

/** Null where the text is no such line. */
export function parseStat(text: string): ProcStat | null {
  // The command's name stands in brackets and may hold spaces and brackets itself; the last one closes it.
  const [state, parent, group, session, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const startTime = rest[15]
  if (state === undefined || startTime === undefined) return null
  const pid = Number.parseInt(text, 10)
  return { pid, state, parent: Number(parent), group: Number(group), session: Number(session), startTime }
}

/** Dead, though its parent has not looked yet. */
export const isDead = ({ state }: Pick<ProcStat, 'state'>): boolean => state === 'Z' || state === 'X'
