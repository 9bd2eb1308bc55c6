// Loaded before a program: whatever it would look at every so often, it looks at once an hour.
const hourMs = 3_600_000
const every = globalThis.setInterval

globalThis.setInterval = ((work: () => void, ms = 0) => every(work, Math.max(hourMs, ms))) as typeof setInterval
