import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'vitest'
import { TestClock } from '../../store/world-for-tests.ts'
import { FreshLooks } from './fresh-looks.ts'

let clock: TestClock
beforeEach(() => {
  clock = new TestClock()
})

/** A server that is done with a look when it is told to be. */
function serverOn(answer: (names: readonly string[]) => Promise<void>) {
  const asked: string[][] = []
  const refresh = (names: readonly string[]) => {
    asked.push([...names])
    return answer(names)
  }
  return { asked, looks: new FreshLooks({ refresh }, clock) }
}

const atOnce = () => serverOn(async () => undefined)

describe('a server that remembers its machines is made to look', () => {
  test('for all that are doubted in one request, and for nobody else', async () => {
    const { asked, looks } = atOnce()
    assert.equal(await looks.ensure([]), false)
    assert.equal(await looks.ensure(['a', 'b']), true)
    assert.deepEqual(asked, [['a', 'b']])
  })

  test('ever less often for one that stays doubted, and for another one at once', async () => {
    const { asked, looks } = atOnce()
    const atS: number[] = []
    for (let s = 0; s < 3_600; s += 5, clock.pass(5_000)) if (await looks.ensure(['a'])) atS.push(s)
    assert.deepEqual(atS.slice(0, 6), [0, 15, 45, 105, 225, 465])
    assert.ok(atS.slice(8).every((at, i) => at - (atS[i + 7] ?? 0) === 600))
    await looks.ensure(['a', 'b'])
    assert.deepEqual(asked.at(-1), ['b'])
  })

  test('at once again for one that had spoken in between', async () => {
    const { asked, looks } = atOnce()
    for (let i = 0; i < 8; i++, clock.pass(15_000)) await looks.ensure(['a'])
    const before = asked.length
    clock.pass(600_000)
    await looks.ensure(['a'])
    await looks.ensure(['a'])
    clock.pass(15_000)
    await looks.ensure(['a'])
    assert.equal(asked.length, before + 2, 'the waits begin anew')
  })

  test('once at a time: who is doubted meanwhile waits for the look that is under way', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { asked, looks } = serverOn(() => promise)
    const both = [looks.ensure(['a']), looks.ensure(['b'])]
    resolve()
    assert.deepEqual(await Promise.all(both), [true, true])
    assert.deepEqual(asked, [['a']])
    await looks.ensure(['b'])
    assert.deepEqual(asked, [['a'], ['b']])
  })

  test('and where it fails, the list that it remembers is read all the same', async () => {
    const { looks } = serverOn(() => Promise.reject(new Error('no worker is free')))
    assert.equal(await looks.ensure(['a']), true)
  })
})
