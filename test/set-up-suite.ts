import { describe, expect, test } from 'vitest'
import { mayLimitDisks } from './bare-machine.ts'
import { flipped, type SetUpWorld } from './set-up-world.ts'

const downloaders = ['curl', 'wget', 'python3']

/**
 * What a machine's own programs are used for when it sets itself up. It holds for those that stand in for them, which
 * need nothing of this host, as for the real ones.
 */
export function setUpSuite(world: () => SetUpWorld): void {
  downloads(world)
  checksumsAndFullDisks(world)
}

function downloads(world: () => SetUpWorld): void {
  test.each(downloaders)(
    'a machine without Node gets the executable, which needs none, by %s, packed or not',
    async (tool) => {
      const packed = await world().machineWith(tool, 'sha256sum', 'gzip').run(world().parts())
      expect(packed.lines).toEqual(expect.arrayContaining(['the executable runs: run', 'FLIGHTDECK_NODE_BIN=']))
      const raw = await world().machineWith(tool, 'sha256sum').run(world().parts())
      expect(raw.lines).toContain('the executable runs: run')
    },
  )

  describe.each([...downloaders, 'node'])('with nothing to download but %s', (tool) => {
    test('a machine with Node gets the bundle', async () => {
      const { lines } = await world().machineWith('node', tool, 'sha256sum').run(world().parts())
      expect(lines).toContain('the bundle runs: run')
    })

    test('an authority of the install`s own is no hindrance: the checksum is what is believed', async () => {
      const { port } = new URL(world().control.api.url)
      const secure = { ...world().parts([], `https://localhost:${port}`), controlFingerprint: world().fingerprint }
      const machine = world().machineWith('node', tool, 'sha256sum')
      expect((await machine.run(secure)).lines).toContain('the bundle runs: run')
      const unknown = await machine.run({ ...secure, name: 'fd-x-2', controlFingerprint: null })
      expect(unknown.failure).toMatchObject({ code: 'agent_unreachable', retry: 'elsewhere' })
    })

    test('what breaks off is tried again, and only a whole file counts', async () => {
      const mirror = await world().mirrorOf((file) => file, 1)
      const { lines, failure } = await world()
        .machineWith('node', tool, 'sha256sum')
        .run(world().parts([mirror.url]))
      expect(failure).toBeNull()
      expect(lines).toContain('the bundle runs: run')
      expect(mirror.asked).toEqual(['agent.cjs', 'agent.cjs', 'loop.sh'])
    })

    test('nobody who answers, and a version that is not there, are told with what the program said', async () => {
      const empty = await world().mirrorOf(() => Buffer.alloc(0))
      const machine = world().machineWith('node', tool, 'sha256sum')
      for (const [i, url] of ['http://127.0.0.1:2', empty.url].entries()) {
        const { failure } = await machine.run({ ...world().parts([], url), name: `fd-y-${i}` })
        expect(failure).toMatchObject({ code: 'agent_unreachable', retry: 'elsewhere' })
        expect(failure?.cause).toMatch(
          /cannot be fetched with \w+: .*(curl: \(7|curl: \(22|[Rr]efused|ECONNREFUSED|404)/,
        )
      }
    })
  })
}

function checksumsAndFullDisks(world: () => SetUpWorld): void {
  test.each([['sha256sum'], ['shasum', 'perl'], ['openssl'], ['python3'], ['node']])(
    'with nothing to compute a SHA-256 but %s, what was altered is told from what was not',
    async (...programs) => {
      const mirror = await world().mirrorOf(flipped)
      const machine = world().machineWith('node', 'curl', ...programs)
      expect((await machine.run(world().parts())).failure).toBeNull()
      const altered = await machine.run({ ...world().parts([mirror.url]), name: 'fd-x-2' })
      expect(altered.failure?.code).toBe('agent_altered')
    },
  )

  describe.skipIf(!mayLimitDisks())('a disk that is full', () => {
    test.each([...downloaders, 'node'])(
      'in the middle of a download by %s is told as such, with the room',
      async (tool) => {
        const machine = world().machineWith('node', tool, 'sha256sum')
        machine.limitDisk(64)
        const { failure } = await machine.run(world().parts())
        const remedy = expect.stringContaining('diskGib')
        expect(failure).toMatchObject({ code: 'disk_full', retry: 'not_here', remedy })
        expect(failure?.cause).toMatch(/\d+ MiB free below/)
      },
    )
  })
}
