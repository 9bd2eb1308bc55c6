import { type ReactNode, useId } from 'react'
import { type ActName, useMissingRole } from '../api/acting.ts'
import { usdPerHour } from '../words/money.ts'

export interface ButtonProps {
  readonly children: ReactNode
  readonly onPress?: () => void
  readonly type?: 'button' | 'submit'
  readonly look?: 'main' | 'quiet'
  /** It takes something away. */
  readonly danger?: boolean
  /** What pressing it costs from then on, told on it. */
  readonly costPerHourMicroUsd?: number
  readonly busy?: boolean
  /** The call of the API behind it: who may not make it is told so beside the button. */
  readonly act?: ActName
  /** Why it cannot be pressed now. */
  readonly blocked?: string | null
  readonly label?: string
}

/** Stays in reach of the keyboard while it cannot be pressed, and says why it cannot. */
export function Button(props: ButtonProps) {
  const { children, onPress, type = 'button', look, danger, costPerHourMicroUsd, busy = false, label } = props
  const missing = useMissingRole(props.act)
  const why = missing ? `needs the role ${missing}` : props.blocked
  const whyId = useId()
  const off = busy || Boolean(why)
  const button = (
    <button
      type={type}
      className={['button', look, danger && 'danger'].filter(Boolean).join(' ')}
      aria-disabled={off || undefined}
      aria-busy={busy || undefined}
      aria-label={label}
      aria-describedby={why ? whyId : undefined}
      onClick={(event) => {
        if (off) event.preventDefault()
        else onPress?.()
      }}
    >
      {children}{' '}
      {costPerHourMicroUsd !== undefined && <span className="cost">for {usdPerHour(costPerHourMicroUsd)}</span>}
    </button>
  )
  if (!why) return button
  return (
    <span className="locked">
      {button}
      <small id={whyId}>{why}</small>
    </span>
  )
}
