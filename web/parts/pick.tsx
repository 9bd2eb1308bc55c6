export type PickOption = readonly [value: string, text: string]

export interface PickProps {
  readonly label: string
  /** What no choice is called. */
  readonly any: string
  readonly value: string
  readonly options: readonly PickOption[]
  readonly onPick: (value: string) => void
}

/** One of the ways in which a list is narrowed; empty where it is not. */
export function Pick({ label, any, value, options, onPick }: PickProps) {
  // A choice that came with an address stays visible though nothing is like that now.
  const all: readonly PickOption[] =
    value === '' || options.some(([one]) => one === value) ? options : [...options, [value, value]]
  return (
    <select className="input inline" aria-label={label} value={value} onChange={(event) => onPick(event.target.value)}>
      <option value="">{any}</option>
      {all.map(([one, text]) => (
        <option key={one} value={one}>
          {text}
        </option>
      ))}
    </select>
  )
}

export interface PicksProps<F extends string> {
  readonly of: readonly (Omit<PickProps, 'value' | 'onPick'> & { readonly field: F })[]
  readonly chosen: Readonly<Record<F, string>>
  readonly onPick: (patch: Partial<Record<F, string>>) => void
}

/** All ways in which a list is narrowed, each with the field that keeps its choice. */
export function Picks<F extends string>({ of, chosen, onPick }: PicksProps<F>) {
  return of.map(({ field, ...pick }) => (
    <Pick
      key={field}
      {...pick}
      value={chosen[field]}
      onPick={(value) => onPick({ [field]: value } as Partial<Record<F, string>>)}
    />
  ))
}
