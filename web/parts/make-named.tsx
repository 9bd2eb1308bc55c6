import { type ReactNode, useState } from 'react'
import type { Act, ActName } from '../api/acting.ts'
import { whyNotName } from '../words/given-name.ts'
import { ActDialog, type ActDialogProps } from './dialog.tsx'
import { TextField } from './field.tsx'
import { ShownOnce } from './shown-once.tsx'

export interface MakeNamedProps extends Pick<ActDialogProps, 'title' | 'verb' | 'act' | 'onClose'> {
  readonly doing: Pick<Act<ActName>, 'isRunning' | 'failure' | 'reset'>
  /** What the name is for. */
  readonly hint: string
  /** What it takes besides a name. */
  readonly children: ReactNode
  /** Resolves to its secret, or to undefined where it was refused. */
  readonly make: (name: string) => Promise<string | undefined>
  readonly secretOf: (name: string) => { readonly title: string; readonly words: ReactNode }
}

/** Makes something that has a name and a secret, and shows that once. */
export function MakeNamed({ doing, hint, children, make, secretOf, onClose, ...rest }: MakeNamedProps) {
  const [name, setName] = useState('')
  const [pressed, setPressed] = useState(false)
  const [secret, setSecret] = useState<string | null>(null)
  const submit = async () => {
    setPressed(true)
    if (whyNotName(name) !== null) return
    setSecret((await make(name)) ?? null)
  }
  const close = () => {
    doing.reset()
    onClose()
  }
  if (secret !== null) {
    const { title, words } = secretOf(name)
    return (
      <ShownOnce title={title} secret={secret} onClose={close}>
        {words}
      </ShownOnce>
    )
  }
  return (
    <ActDialog {...rest} doing={doing} onSubmit={() => void submit()} onClose={close}>
      <TextField
        label="Name"
        value={name}
        onChange={setName}
        hint={hint}
        wrong={pressed ? whyNotName(name) : null}
        autoFocus
      />
      {children}
    </ActDialog>
  )
}
