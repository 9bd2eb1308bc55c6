import { type ReactNode, useId } from 'react'

export interface FieldProps {
  readonly label: string
  readonly hint?: ReactNode
  /** What is wrong with it, and what to do; told in place and to a screen reader. */
  readonly wrong?: string | null
}

interface Wiring {
  readonly id: string
  readonly 'aria-invalid': true | undefined
  readonly 'aria-describedby': string | undefined
}

/** A label, what is typed or chosen, a hint, and what is wrong. `children` gets what ties them together. */
export function Field({
  label,
  hint,
  wrong,
  children,
}: FieldProps & { readonly children: (wiring: Wiring) => ReactNode }) {
  const id = useId()
  const described = [hint && `${id}-hint`, wrong && `${id}-wrong`].filter(Boolean).join(' ')
  return (
    <div className="field">
      <label className="label" htmlFor={id}>
        {label}
      </label>
      {children({ id, 'aria-invalid': wrong ? true : undefined, 'aria-describedby': described || undefined })}
      {hint && (
        <span className="hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      {wrong && (
        <span className="wrong" id={`${id}-wrong`} role="alert">
          {wrong}
        </span>
      )}
    </div>
  )
}

export interface TextFieldProps extends FieldProps {
  readonly value: string
  readonly onChange: (value: string) => void
  readonly type?: 'text' | 'password' | 'number' | 'search'
  readonly placeholder?: string
  readonly autoComplete?: string
  readonly autoFocus?: boolean
  readonly suggestions?: readonly string[]
}

export function TextField({ value, onChange, suggestions, type = 'text', ...rest }: TextFieldProps) {
  const { label, hint, wrong, placeholder, autoComplete = 'off', autoFocus } = rest
  const listId = useId()
  return (
    <Field label={label} hint={hint} wrong={wrong ?? null}>
      {(wiring) => (
        <>
          <input
            {...wiring}
            className="input"
            type={type}
            value={value}
            onChange={(event) => onChange(event.target.value)}
            placeholder={placeholder}
            autoComplete={autoComplete}
            spellCheck={false}
            // biome-ignore lint/a11y/noAutofocus: only for the one field of a form that was just asked for.
            autoFocus={autoFocus}
            list={suggestions && listId}
          />
          {suggestions && (
            <datalist id={listId}>
              {suggestions.map((one) => (
                <option key={one} value={one} />
              ))}
            </datalist>
          )}
        </>
      )}
    </Field>
  )
}

export interface ChoiceProps<T extends string> extends FieldProps {
  readonly value: T
  readonly options: readonly { readonly value: T; readonly text: string }[]
  readonly onChange: (value: T) => void
}

export function Choice<T extends string>({ value, options, onChange, label, hint, wrong }: ChoiceProps<T>) {
  return (
    <Field label={label} hint={hint} wrong={wrong ?? null}>
      {(wiring) => (
        <select {...wiring} className="input" value={value} onChange={(event) => onChange(event.target.value as T)}>
          {options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.text}
            </option>
          ))}
        </select>
      )}
    </Field>
  )
}
