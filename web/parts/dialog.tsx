import { type ReactNode, useEffect, useId, useRef } from 'react'
import type { ActName } from '../api/acting.ts'
import { Button } from './button.tsx'
import { Problem } from './problem.tsx'

export interface DialogProps {
  readonly title: string
  readonly children: ReactNode
  /** What stands below: the buttons. */
  readonly actions: ReactNode
  readonly onClose: () => void
  readonly onSubmit?: () => void
}

/** Over the page, which waits: the browser keeps the focus inside, and Escape closes it. */
export function Dialog({ title, children, actions, onClose, onSubmit }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault()
          onSubmit?.()
        }}
      >
        <h2 id={id}>{title}</h2>
        {children}
        <div className="row">{actions}</div>
      </form>
    </dialog>
  )
}

export interface ConfirmProps {
  readonly title: string
  /** What will happen, to whom, and what it costs. */
  readonly children: ReactNode
  readonly verb: string
  readonly act: ActName
  readonly danger?: boolean
  readonly costPerHourMicroUsd?: number
  readonly busy: boolean
  readonly failure: unknown
  readonly onConfirm: () => void
  readonly onClose: () => void
}

/** Asks before something that cannot be taken back, or that costs money. */
export function Confirm(props: ConfirmProps) {
  const { title, children, verb, act, danger, costPerHourMicroUsd, busy, failure, onConfirm, onClose } = props
  return (
    <Dialog
      title={title}
      onClose={onClose}
      onSubmit={onConfirm}
      actions={
        <>
          <Button onPress={onClose}>Leave it</Button>
          <Button
            type="submit"
            look="main"
            act={act}
            busy={busy}
            {...(danger === undefined ? {} : { danger })}
            {...(costPerHourMicroUsd === undefined ? {} : { costPerHourMicroUsd })}
          >
            {verb}
          </Button>
        </>
      }
    >
      <div className="prose">{children}</div>
      <Problem of={failure} />
    </Dialog>
  )
}
