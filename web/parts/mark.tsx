import type { ReactNode } from 'react'

/** Disc: good. Open ring: between. Arc: working. Diamond: doubtful. Square: bad. */
export type MarkShape = 'good' | 'between' | 'busy' | 'doubtful' | 'bad'

/** A state by shape and word; the colour only repeats them. */
export function StateMark({ shape, children }: { readonly shape: MarkShape; readonly children: ReactNode }) {
  return <span className={`mark ${shape}`}>{children}</span>
}

export interface Marked {
  readonly shape: MarkShape
  readonly word: string
}

export function MarkedState({ of: { shape, word } }: { readonly of: Marked }) {
  return <StateMark shape={shape}>{word}</StateMark>
}

export function Tag({ children }: { readonly children: ReactNode }) {
  return <span className="tag">{children}</span>
}
