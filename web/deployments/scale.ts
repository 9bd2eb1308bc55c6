import { mostReplicas } from '../../src/wire/routes.ts'
import { count, machines } from '../words/counts.ts'

/** The number that was typed, or what is wrong with it. */
export function replicasOf(typed: string): { readonly wanted: number } | { readonly wrong: string } {
  const text = typed.trim()
  const wanted = Number(text)
  if (/^\d+$/.test(text) && wanted <= mostReplicas) return { wanted }
  return { wrong: `Give a whole number from 0 to ${count(mostReplicas)}.` }
}

interface Counts {
  readonly wanted: number
  readonly ready: number
}

/** What becomes of machines when another number of replicas is wanted. */
export function whatScalingDoes(now: Counts, wanted: number): string {
  const more = wanted - now.wanted
  if (more === 0) return 'Nothing changes: this many are wanted now.'
  if (more > 0) return `${machines(more)} will be asked for, each at the best offer that there is then.`
  const left = wanted === 0 ? ' Nothing serves the model under this name then.' : ''
  return `${machines(-more)} will be given back, the least useful first: no new requests, those in flight finish.${left}`
}
