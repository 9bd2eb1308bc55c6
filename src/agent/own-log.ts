/** The agent's own words, on standard error; the loop sends them to agent.log. Never give it a secret. */
export interface OwnLog {
  say(text: string): void
  /** On standard error only, and again only after a change or a minute. */
  note(text: string): void
  /** Says a text again only after it changed or a minute went by: a control plane that is away is one line, not hundreds. */
  sayOnce(topic: string, text: string): void
}

const repeatMs = 60_000

/** `alsoTo` gets each line without its time, for the progress report. */
export function makeOwnLog(alsoTo: (text: string) => void): OwnLog {
  const last = new Map<string, { text: string; at: number }>()
  const write = (text: string) => void process.stderr.write(`${new Date().toISOString()} ${text}\n`)
  const say = (text: string) => {
    write(text)
    alsoTo(text)
  }
  const isNews = (topic: string, text: string): boolean => {
    const before = last.get(topic)
    if (before && before.text === text && performance.now() - before.at < repeatMs) return false
    last.set(topic, { text, at: performance.now() })
    return true
  }
  return {
    say,
    note: (text) => {
      if (isNews('note', text)) write(text)
    },
    sayOnce: (topic, text) => {
      if (isNews(topic, text)) say(text)
    },
  }
}
