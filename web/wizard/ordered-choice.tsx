import { Button } from '../parts/button.tsx'
import { Field } from '../parts/field.tsx'
import look from './wizard.module.css'

export interface OrderedChoiceProps {
  readonly label: string
  /** What holds while nothing is chosen. */
  readonly hint: string
  readonly chosen: readonly string[]
  readonly options: readonly string[]
  readonly onChange: (chosen: readonly string[]) => void
}

/** Some of what there is, in an order of preference: what stands first is tried first. */
export function OrderedChoice({ label, hint, chosen, options, onChange }: OrderedChoiceProps) {
  const left = options.filter((option) => !chosen.includes(option))
  return (
    <div className="stack">
      <Field label={label} hint={chosen.length === 0 ? hint : null}>
        {(wiring) => (
          <select
            {...wiring}
            className="input"
            value=""
            onChange={({ target }) => target.value !== '' && onChange([...chosen, target.value])}
          >
            <option value="">{chosen.length === 0 ? 'any' : 'add another, to be tried after these'}</option>
            {left.map((option) => (
              <option key={option} value={option}>
                {option}
              </option>
            ))}
          </select>
        )}
      </Field>
      {chosen.length > 0 && (
        <ol className={look['order']} aria-label={`${label}, in order`}>
          {chosen.map((one, i) => (
            <li key={one}>
              <span>
                {one}
                {!options.includes(one) && <span className="warn"> not offered now</span>}
              </span>
              {i > 0 && (
                <Button look="quiet" label={`${one} earlier`} onPress={() => onChange(swapped(chosen, i - 1))}>
                  ↑
                </Button>
              )}
              <Button
                look="quiet"
                label={`Leave out ${one}`}
                onPress={() => onChange(chosen.filter((other) => other !== one))}
              >
                ×
              </Button>
            </li>
          ))}
        </ol>
      )}
    </div>
  )
}

/** The one at `i` and the one behind it change places. */
function swapped(list: readonly string[], i: number): string[] {
  const [a, b] = [list[i], list[i + 1]]
  return a === undefined || b === undefined ? [...list] : [...list.slice(0, i), b, a, ...list.slice(i + 2)]
}
