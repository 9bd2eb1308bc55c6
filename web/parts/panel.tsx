import { type ReactNode, useId } from 'react'

export interface PanelProps {
  readonly title: string
  readonly sub?: ReactNode
  readonly actions?: ReactNode
  /** Without the inner margin: for tables and logs. */
  readonly flush?: boolean
  readonly children: ReactNode
}

export function Panel({ title, sub, actions, flush = false, children }: PanelProps) {
  const id = useId()
  return (
    <section className="panel" aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {sub && <span className="soft">{sub}</span>}
        {actions && <span className="row right">{actions}</span>}
      </header>
      {flush ? children : <div className="body">{children}</div>}
    </section>
  )
}

type Pair = readonly [name: string, value: ReactNode]

/** The few figures that a page is opened for. */
export function Facts({ of }: { readonly of: readonly Pair[] }) {
  return <dl className="facts">{of.map(pair)}</dl>
}

/** Names and values below each other; what is null or undefined is left out. */
export function Pairs({ of }: { readonly of: readonly Pair[] }) {
  return (
    <dl className="pairs">
      {of
        .filter(([, value]) => value !== null && value !== undefined)
        .map(([name, value]) => [<dt key={`${name}-name`}>{name}</dt>, <dd key={name}>{value}</dd>])}
    </dl>
  )
}

const pair = ([name, value]: Pair) => (
  <div key={name}>
    <dt>{name}</dt>
    <dd>{value}</dd>
  </div>
)

/** There is nothing, why that is so, and what to do about it. */
export function Empty({ title, children }: { readonly title: string; readonly children?: ReactNode }) {
  return (
    <div className="empty">
      <strong>{title}</strong>
      {children}
    </div>
  )
}
