import { type ReactNode, useId, useLayoutEffect, useRef } from 'react'
import { type Act, type ActName, useAct } from '../api/acting.ts'
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
  useLayoutEffect(() => {
    const shown = dialog.current
    shown?.showModal()
    // While it is in the page still: closed, it gives the focus back to what opened it.
    return () => shown?.close()
  }, [])
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

export interface ActDialogProps {
  readonly title: string
  readonly children: ReactNode
  readonly verb: string
  readonly act: ActName
  /** How the act is doing. */
  readonly doing: Pick<Act<ActName>, 'isRunning' | 'failure'>
  readonly danger?: boolean
  readonly onSubmit: () => void
  readonly onClose: () => void
}

/** Asks for what an act takes, and says why it was refused. */
export function ActDialog(props: ActDialogProps) {
  const { title, children, verb, act, doing, danger = false, onSubmit, onClose } = props
  return (
    <Dialog
      title={title}
      onClose={onClose}
      onSubmit={onSubmit}
      actions={
        <>
          <Button onPress={onClose}>Leave it</Button>
          <Button type="submit" look="main" act={act} busy={doing.isRunning} danger={danger}>
            {verb}
          </Button>
        </>
      }
    >
      {children}
      <Problem of={doing.failure} />
    </Dialog>
  )
}

export interface ConfirmProps<N extends ActName>
  extends Pick<ActDialogProps, 'title' | 'children' | 'verb' | 'danger' | 'onClose'> {
  readonly act: N
  readonly call: Parameters<Act<N>['run']>[0]
}

/** Says what will happen, to whom and what it costs, before something that cannot be taken back. Done, it closes. */
export function Confirm<N extends ActName>({ act, call, children, onClose, ...rest }: ConfirmProps<N>) {
  const doing = useAct(act)
  const confirm = async () => {
    if (await doing.run(call)) onClose()
  }
  return (
    <ActDialog {...rest} act={act} doing={doing} onSubmit={() => void confirm()} onClose={onClose}>
      <div className="prose">{children}</div>
    </ActDialog>
  )
}
