export function Brand() {
  return (
    <span className="brand">
      <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
        <path d="M1 12h14M3 9l5-6 5 6" fill="none" stroke="currentColor" strokeWidth="1.6" />
      </svg>
      Flightdeck
    </span>
  )
}
