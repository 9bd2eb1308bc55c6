import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { isOver, launchFacts, launchOutcomes, launchStates, launchTable } from './launch-table.ts'
import { endStatesOf, type MachineTable, statesOf, stepOf } from './machine-table.ts'
import { nodeFacts, nodeStates, nodeTable } from './node-table.ts'

/** Every arrow as `state -fact-> state`, written by hand: a change of a table has to be made twice, on purpose. */
const nodeArrows = `
intended -placed-> requesting       intended -unwanted-> gone
requesting -sighted-> booting       requesting -joined-> loading        requesting -refused-> releasing
requesting -expired-> releasing     requesting -unwanted-> releasing
booting -joined-> loading           booting -refused-> releasing        booting -failed-> releasing
booting -expired-> releasing        booting -unwanted-> releasing       booting -vanished-> gone
booting -held-> held                loading -held-> held                ready -held-> held
draining -held-> held
loading -answered-> ready           loading -failed-> releasing         loading -expired-> releasing
loading -unwanted-> releasing       loading -vanished-> gone
ready -drain_asked-> draining       ready -failed-> releasing           ready -dead-> releasing
ready -unwanted-> draining          ready -vanished-> gone
draining -drained-> releasing       draining -expired-> releasing       draining -notice_withdrawn-> ready
draining -vanished-> gone
held -expired-> releasing           held -unwanted-> releasing          held -vanished-> gone
releasing -vanished-> gone
gone -sighted-> releasing`

const launchArrows = `
queued -admitted-> attempting       queued -unwanted-> ending           queued -expired-> ending
queued -exhausted-> ending
attempting -node_ready-> live       attempting -attempt_failed-> backing_off
attempting -exhausted-> ending      attempting -unwanted-> ending       attempting -expired-> ending
backing_off -retry_due-> attempting backing_off -exhausted-> ending     backing_off -unwanted-> ending
backing_off -expired-> ending
live -node_lost-> ending            live -unwanted-> ending
ending -cleared_ended-> ended       ending -cleared_failed-> failed
ending -cleared_cancelled-> cancelled                                   ending -cleared_timed_out-> timed_out`

const arrowsIn = (text: string): string[] => text.match(/\w+ -\w+-> \w+/g)?.sort() ?? []

function arrowsOf<S extends string, F extends string>(table: MachineTable<S, F>, facts: readonly F[]): string[] {
  const pairs = statesOf(table).flatMap((state) => facts.map((fact) => [state, fact] as const))
  return pairs
    .map(([state, fact]) => [state, fact, stepOf(table, state, fact)] as const)
    .filter(([, , next]) => next !== undefined)
    .map(([state, fact, next]) => `${state} -${fact}-> ${next}`)
    .sort()
}

function reachableFrom<S extends string, F extends string>(table: MachineTable<S, F>, start: S): Set<S> {
  const reached = new Set([start])
  for (const state of reached)
    for (const next of Object.values<S | undefined>(table[state].on)) if (next) reached.add(next)
  return reached
}

describe('the node table', () => {
  test('of all pairs of a state and a fact, the listed arrows move and all others change nothing', () => {
    assert.deepEqual(arrowsOf(nodeTable, nodeFacts), arrowsIn(nodeArrows))
  })

  test('every state can be reached, and from every state gone can be', () => {
    assert.deepEqual([...reachableFrom(nodeTable, 'intended')].sort(), [...nodeStates].sort())
    for (const state of nodeStates) assert.ok(reachableFrom(nodeTable, state).has('gone'), state)
  })

  test("only the cloud's word leads to gone, but for a node that no cloud was ever asked for", () => {
    const toGone = arrowsOf(nodeTable, nodeFacts).filter((arrow) => arrow.endsWith('-> gone'))
    assert.deepEqual(
      toGone.filter((arrow) => !arrow.includes('-vanished->')),
      ['intended -unwanted-> gone'],
    )
  })

  test('out of releasing only the word of the cloud leads', () => {
    assert.deepEqual(nodeTable.releasing.on, { vanished: 'gone' })
  })

  test('what the cloud may charge is said of every state', () => {
    const billed = Object.fromEntries(nodeStates.map((state) => [state, nodeTable[state].billed]))
    assert.deepEqual(billed, {
      intended: 'no',
      requesting: 'unknown',
      booting: 'yes',
      loading: 'yes',
      ready: 'yes',
      draining: 'yes',
      held: 'yes',
      releasing: 'yes',
      gone: 'no',
    })
  })
})

describe('the launch table', () => {
  test('of all pairs of a state and a fact, the listed arrows move and all others change nothing', () => {
    assert.deepEqual(arrowsOf(launchTable, launchFacts), arrowsIn(launchArrows))
  })

  test('every state can be reached, and every state that is no end leads to each of the ends', () => {
    assert.deepEqual([...reachableFrom(launchTable, 'queued')].sort(), [...launchStates].sort())
    for (const state of launchStates.filter((state) => !isOver(state)))
      for (const end of launchOutcomes) assert.ok(reachableFrom(launchTable, state).has(end), `${state} to ${end}`)
  })

  test('the ends are the four outcomes, nothing leaves them, and only ending leads there', () => {
    assert.deepEqual(endStatesOf(launchTable), launchOutcomes)
    const intoEnds = arrowsOf(launchTable, launchFacts).filter((arrow) =>
      /-> (ended|failed|cancelled|timed_out)$/.test(arrow),
    )
    assert.equal(intoEnds.length, launchOutcomes.length)
    assert.ok(intoEnds.every((arrow) => arrow.startsWith('ending -')))
  })

  test('what may be charged is said of every state', () => {
    const billed = Object.fromEntries(launchStates.map((state) => [state, launchTable[state].billed]))
    assert.deepEqual(billed, {
      queued: 'no',
      attempting: 'unknown',
      backing_off: 'unknown',
      live: 'yes',
      ending: 'unknown',
      ended: 'no',
      failed: 'no',
      cancelled: 'no',
      timed_out: 'no',
    })
  })
})
