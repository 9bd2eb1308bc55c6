import { humanRough } from '../../src/core/human-time.ts'
import type { DeploymentView } from '../../src/wire/views.ts'
import { count } from './counts.ts'
import { usdPerHour } from './money.ts'

type Asked = Pick<DeploymentView, 'wish' | 'engineArgs' | 'timeLimitS' | 'concurrency'>

/** What was asked for, by a launch or for each launch of a deployment: pairs of a name and words. */
export function askedWords({ wish, engineArgs, timeLimitS, concurrency }: Asked): [string, string][] {
  const args = Object.entries(engineArgs).map(([name, value]) => `--${name} ${value}`)
  const { maxPricePerHourMicroUsd: most } = wish
  return [
    ['Arguments', args.join(' ') || 'none'],
    ['Clouds', anyOr(wish.clouds)],
    ['Regions', anyOr(wish.regions)],
    ['GPUs', `${anyOr(wish.gpus)}${wish.gpuCount === null ? '' : `, ${wish.gpuCount} of them`}`],
    ['Spot', { allow: 'allowed', only: 'only', never: 'never', first: 'first, then on demand' }[wish.spot]],
    ['Price', most === null ? 'any' : `${usdPerHour(most)} at most`],
    ['Time limit', timeLimitS === null ? 'none of its own' : humanRough(timeLimitS * 1_000)],
    ['Full requests at a time', concurrency === null ? 'as the model is configured' : count(concurrency)],
  ]
}

const anyOr = (of: readonly string[]): string => (of.length === 0 ? 'any' : of.join(', '))
