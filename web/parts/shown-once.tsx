import type { ReactNode } from 'react'
import { Button } from './button.tsx'
import { CopyText } from './copy.tsx'
import { Dialog } from './dialog.tsx'

export interface ShownOnceProps {
  readonly title: string
  readonly secret: string
  readonly children: ReactNode
  readonly onClose: () => void
}

/** A secret that was just made. It is kept nowhere, so it leaves the screen by this button alone. */
export function ShownOnce({ title, secret, children, onClose }: ShownOnceProps) {
  return (
    <Dialog
      title={title}
      onClose={() => undefined}
      onSubmit={onClose}
      actions={
        <Button type="submit" look="main">
          I have copied it
        </Button>
      }
    >
      <CopyText text={secret} />
      <p>
        <strong>It is shown this once.</strong> {children}
      </p>
    </Dialog>
  )
}
