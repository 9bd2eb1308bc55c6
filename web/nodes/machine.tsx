import type { AgentStanding } from '../../src/core/agent-protocol.ts'
import type { NodeDetail } from '../../src/wire/views.ts'
import { Copy } from '../parts/copy.tsx'
import { Pairs, Panel } from '../parts/panel.tsx'
import { Age, Left } from '../parts/time.tsx'
import { placeOf } from '../words/offers.ts'

const standings: Readonly<Record<AgentStanding, string | null>> = {
  current: null,
  behind: 'behind the one that is served here: it works, and goes when the node is replaced',
  ahead: 'ahead of the one that is served here',
  too_old: 'too old to be heard: drain the node, and the machine in its place brings the right one',
}

/** What runs there, and on what. */
export function Machine({ of }: { readonly of: NodeDetail }) {
  const { offer, gpus, gpuFaults, leaseUntil, noticeServiceAnswers } = of
  return (
    <Panel title="Machine" actions={<Copy text={of.id} label="Copy its id" />}>
      <Pairs
        of={[
          ['Place', placeOf(offer)],
          ['Ordered', offer.gpu === null ? 'no GPU' : `${offer.gpuCount}× ${offer.gpu}`],
          ['Type', of.instanceType ?? offer.instanceType],
          ['GPUs', gpus.length > 0 ? gpus.map((gpu) => <Gpu key={gpu.index} of={gpu} />) : null],
          ['Host', of.hostname],
          ['Addresses', of.addresses.length > 0 ? of.addresses.join(', ') : null],
          ['Engine', `${of.engine}${of.engineVersion ? ` ${of.engineVersion}` : ''}`],
          ['Agent', of.agentVersion && <Agent of={of} />],
          [
            'Lease',
            leaseUntil && (
              <>
                ends in <Left until={leaseUntil} /> unless it is renewed
              </>
            ),
          ],
          ['Notices', noticeServiceAnswers === false ? 'its cloud cannot be asked for them' : null],
          [
            'GPU faults',
            gpuFaults.length > 0 ? gpuFaults.map((fault) => <Fault key={fault.toldAt} of={fault} />) : null,
          ],
        ]}
      />
    </Panel>
  )
}

function Agent({ of: { agentVersion, agentProtocol, agentStanding } }: { readonly of: NodeDetail }) {
  const standing = agentStanding && standings[agentStanding]
  return (
    <>
      {agentVersion}, protocol {agentProtocol}
      {standing && <span className="warn">, {standing}</span>}
    </>
  )
}

function Gpu({
  of: { name, memoryMib, memoryUsedMib, utilizationPercent, temperatureC },
}: {
  readonly of: NodeDetail['gpus'][number]
}) {
  const said = [
    utilizationPercent !== null && `${utilizationPercent} % used`,
    memoryUsedMib !== null && `${gib(memoryUsedMib)} of ${gib(memoryMib)} GiB`,
    temperatureC !== null && `${temperatureC} °C`,
  ].filter(Boolean)
  return (
    <div>
      {name} <span className="soft">{said.join(' · ')}</span>
    </div>
  )
}

const gib = (mib: number): string => (mib / 1_024).toFixed(0)

function Fault({ of: { means, evidence, toldAt } }: { readonly of: NodeDetail['gpuFaults'][number] }) {
  return (
    <div>
      <span className="bad">{means}</span>, <Age at={toldAt} /> ago
      <pre className="mono soft evidence">{evidence}</pre>
    </div>
  )
}
