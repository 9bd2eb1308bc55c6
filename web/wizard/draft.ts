// The launch wizard: what is chosen step by step, the request that it makes, and the same as texts to copy.
// Deliberately absent: rules of its own about what fits or costs what; the plan of the API says that.

export const steps = ['model', 'configuration', 'instance', 'summary'] as const
export type Step = (typeof steps)[number]

/** What was chosen so far, as it stands in the address: names and texts. Lists have commas between. */
export const emptyDraft = {
  step: 'model' as string,
  /** `list`: it is the one of the name that was chosen; `own`: what lies at `own`, as `name`. */
  from: 'list' as string,
  model: '',
  search: '',
  own: '',
  engine: 'vllm' as string,
  name: '',
  clouds: '',
  regions: '',
  gpus: '',
  gpuCount: '',
  spot: 'allow' as string,
  maxPrice: '',
  context: '',
  concurrency: '',
  args: '',
  replicas: '1',
  deployment: '',
  timeLimit: '',
  /** The one offer that is to be taken; empty: the best that can be had, then the next. */
  offer: '',
}
export type Draft = Readonly<typeof emptyDraft>
export type DraftField = keyof Draft

export const stepOf = ({ step }: Pick<Draft, 'step'>): Step => steps.find((one) => one === step) ?? 'model'

export const listOf = (text: string): string[] => text.split(',').filter((one) => one !== '')

export const textOf = (list: readonly string[]): string => list.join(',')

/** Whether the address tells the same; the step is the address's own. */
export const tellSame = (a: Draft, b: Draft): boolean =>
  (Object.keys(emptyDraft) as DraftField[]).every((field) => field === 'step' || a[field] === b[field])
