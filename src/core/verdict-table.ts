export const signalValues = ['good', 'bad', 'unknown'] as const
/** `bad` is a witness who says so; a witness who is silent or stale is `unknown`, never `bad`. */
export type SignalValue = (typeof signalValues)[number]

export const verdicts = ['healthy', 'degraded', 'suspect', 'dead', 'unknown'] as const
export type Verdict = (typeof verdicts)[number]

export interface Signals {
  readonly heartbeat: SignalValue
  readonly probe: SignalValue
  readonly sighting: SignalValue
}

export interface VerdictRow {
  readonly row: string
  readonly when: { readonly [K in keyof Signals]: SignalValue | '*' }
  readonly verdict: Verdict
  readonly meaning: string
}

/** First matching row wins. Losing a signal never worsens a verdict, so silence alone can neither accuse nor release. */
export const verdictTable: readonly VerdictRow[] = [
  row(
    'all-bad',
    'bad',
    'bad',
    'bad',
    'dead',
    'The agent reported failure, the engine does not answer, the cloud says gone.',
  ),
  row('agent-says-failed', 'bad', '*', '*', 'suspect', 'The agent itself says that its engine has failed.'),
  row('engine-silent', '*', 'bad', '*', 'suspect', 'The engine does not answer: no traffic until it does.'),
  row(
    'cloud-disagrees',
    '*',
    'good',
    'bad',
    'degraded',
    'The cloud says gone, the node serves: it keeps serving, somebody should look.',
  ),
  row(
    'cloud-against-agent',
    'good',
    'unknown',
    'bad',
    'degraded',
    'The cloud says gone while the agent speaks: the agent is believed.',
  ),
  row(
    'cloud-alone-says-gone',
    'unknown',
    'unknown',
    'bad',
    'degraded',
    'Only the cloud says gone: it is asked a second time before anything ends.',
  ),
  row('serves', '*', 'good', '*', 'healthy', 'Requests succeed: the data path proves life, whoever else is late.'),
  row('agent-vouches', 'good', 'unknown', '*', 'healthy', 'Not probed lately; the agent vouches for its engine.'),
  row(
    'only-seen',
    'unknown',
    'unknown',
    'good',
    'unknown',
    'The machine exists; neither agent nor engine has spoken lately.',
  ),
  row(
    'no-witness',
    'unknown',
    'unknown',
    'unknown',
    'unknown',
    'Nobody has spoken: we may be the ones who are cut off.',
  ),
]

/** Rows that time adds to the table. */
export const timeRows = {
  tooLong: row(
    'suspect-too-long',
    '*',
    '*',
    '*',
    'dead',
    'It has been suspect for half an hour, which stands in for the word of its cloud.',
  ),
  onTrial: row(
    'on-trial',
    '*',
    '*',
    '*',
    'suspect',
    'It is well again, but it was accused several times lately: it has to stay well for a while.',
  ),
} as const

/** What a row says, by its name; null for one that is not of this table. */
export const meaningOf = (name: string): string | null =>
  [...verdictTable, ...Object.values(timeRows)].find((one) => one.row === name)?.meaning ?? null

/** How bad a verdict is. `unknown` accuses nobody, so it weighs no more than `healthy`. */
export const severity: Readonly<Record<Verdict, number>> = { healthy: 0, unknown: 0, degraded: 1, suspect: 2, dead: 3 }

function row(
  name: string,
  heartbeat: SignalValue | '*',
  probe: SignalValue | '*',
  sighting: SignalValue | '*',
  verdict: Verdict,
  meaning: string,
): VerdictRow {
  return { row: name, when: { heartbeat, probe, sighting }, verdict, meaning }
}

/** The row that applies to the signals; the table covers all 27 inputs, which a test proves. */
export function verdictOf(signals: Signals): VerdictRow {
  const found = verdictTable.find(
    ({ when }) =>
      (when.heartbeat === '*' || when.heartbeat === signals.heartbeat) &&
      (when.probe === '*' || when.probe === signals.probe) &&
      (when.sighting === '*' || when.sighting === signals.sighting),
  )
  if (!found) throw new Error(`no row of the verdict table covers ${JSON.stringify(signals)}`)
  return found
}

/** Somebody says that it is ill; silence does not. */
export const isAccused = (verdict: Verdict): boolean => severity[verdict] >= severity.suspect

/** Verdicts under which a ready node may get requests: only an accusation takes traffic away. */
export const isRoutable = (verdict: Verdict): boolean => !isAccused(verdict)

export const routableVerdicts: readonly Verdict[] = verdicts.filter(isRoutable)
