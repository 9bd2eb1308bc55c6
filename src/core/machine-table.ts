/** What the cloud may charge while a machine is in a state. `unknown`: a request may have been accepted unseen. */
export type Billed = 'no' | 'yes' | 'unknown'

export interface MachineRow<S extends string, F extends string> {
  readonly billed: Billed
  readonly on: Readonly<Partial<Record<F, S>>>
}

export type MachineTable<S extends string, F extends string> = Readonly<Record<S, MachineRow<S, F>>>

/** The state that `fact` leads to, or undefined where the table has no such arrow: the fact then changes nothing. */
export function stepOf<S extends string, F extends string>(
  table: MachineTable<S, F>,
  state: S,
  fact: F,
): S | undefined {
  return table[state].on[fact]
}

/** All states, in the order of the table. */
export function statesOf<S extends string, F extends string>(table: MachineTable<S, F>): readonly S[] {
  return Object.keys(table) as S[]
}

/** States that no arrow leaves. */
export function endStatesOf<S extends string, F extends string>(table: MachineTable<S, F>): readonly S[] {
  return statesOf(table).filter((state) => Object.keys(table[state].on).length === 0)
}
