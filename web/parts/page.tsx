import type { UseQueryResult } from '@tanstack/react-query'
import { type ReactNode, useEffect } from 'react'
import { Problem } from './problem.tsx'

export interface PageProps {
  readonly title: string
  readonly sub?: ReactNode
  readonly actions?: ReactNode
  readonly children: ReactNode
}

/** A page's heading and what may be done on it. */
export function Page({ title, sub, actions, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Flightdeck`
  }, [title])
  return (
    <>
      <div className="head">
        <h1>{title}</h1>
        {sub && <span className="soft">{sub}</span>}
        {actions && <span className="row right">{actions}</span>}
      </div>
      {children}
    </>
  )
}

export interface LoadedProps<T> {
  readonly of: UseQueryResult<T>
  readonly children: (value: T) => ReactNode
}

/** What was read, as soon as it is there. What is there stays while reading it anew fails, with the reason above it. */
export function Loaded<T>({ of, children }: LoadedProps<T>) {
  const failing = of.error ?? of.failureReason
  return (
    <>
      {failing && <Problem of={failing} />}
      {of.data === undefined ? !failing && <Waiting /> : children(of.data)}
    </>
  )
}

/** Only seen where an answer takes long: what flashes by is noise. */
export function Waiting() {
  return (
    <p className="waiting soft" role="status">
      Reading …
    </p>
  )
}
