export interface Share {
  readonly name: string
  /** Of the whole, 0 to 1. */
  readonly share: number
  readonly look?: 'second' | 'over'
}

/** Shares of a whole. What it shows stands in words beside it, or in `label`. */
export function Bar({ shares, label }: { readonly shares: readonly Share[]; readonly label: string }) {
  return (
    <span className="bar" role="img" aria-label={label}>
      {shares.map(({ name, share, look }) => (
        <i key={name} className={look} style={{ width: `${Math.min(1, Math.max(0, share)) * 100}%` }} />
      ))}
    </span>
  )
}

export function ProgressBar({ percent, label }: { readonly percent: number; readonly label: string }) {
  return (
    <span
      className="bar"
      role="progressbar"
      aria-label={label}
      aria-valuenow={percent}
      aria-valuemin={0}
      aria-valuemax={100}
    >
      <i style={{ width: `${percent}%` }} />
    </span>
  )
}
