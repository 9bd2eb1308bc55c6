import { Link } from '@tanstack/react-router'
import { humanRough } from '../../src/core/human-time.ts'
import { launchReadyAt } from '../../src/core/phases.ts'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { askedAs } from '../launches/again.ts'
import { Attempts } from '../launches/attempts.tsx'
import { CancelLaunch } from '../launches/cancel.tsx'
import { LaunchNotes } from '../launches/launch-notes.tsx'
import { Phases } from '../launches/phases.tsx'
import { transcriptAddress } from '../launches/transcript-text.ts'
import { useLaunch } from '../live/fed.ts'
import { LogTail } from '../log/log-tail.tsx'
import { useAddressState, useIdOfPage } from '../parts/address-state.ts'
import { Copy, CopyText } from '../parts/copy.tsx'
import { MarkedState, Tag } from '../parts/mark.tsx'
import { Money } from '../parts/money.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Facts, Pairs, Panel } from '../parts/panel.tsx'
import { Clock, Elapsed, Left } from '../parts/time.tsx'
import { commandOf } from '../wizard/as-text.ts'
import { askedWords } from '../words/asked.ts'
import { usdPerHour } from '../words/money.ts'
import { boughtAs, machineOf, placeOf } from '../words/offers.ts'
import { markOfLaunch } from '../words/states.ts'

// Empty: the last one, whichever that is by then.
const nothingChosen = { attempt: '' }

export function LaunchPage() {
  const id = useIdOfPage()
  const launch = useLaunch(id)
  return (
    <Page
      title={launch.data ? `Launch of ${launch.data.model}` : 'Launch'}
      sub={<Tag>{id}</Tag>}
      actions={
        <>
          {launch.data?.state === 'live' && (
            <Link to="/playground" search={{ model: launch.data.model } as never} className="button main">
              Chat with it
            </Link>
          )}
          <Link to="/launches/$id/transcript" params={{ id }} className="button">
            Transcript
          </Link>
          <Copy text={transcriptAddress(location.origin, id)} label="Copy a link to it" />
          {launch.data && <CancelLaunch launch={launch.data} />}
        </>
      }
    >
      <Loaded of={launch}>{(of) => <OneLaunch launch={of} />}</Loaded>
    </Page>
  )
}

function OneLaunch({ launch }: { readonly launch: LaunchDetail }) {
  const [{ attempt }, set] = useAddressState(nothingChosen)
  const { attempts } = launch
  const chosen = attempts.find(({ ordinal }) => String(ordinal) === attempt) ?? attempts.at(-1)
  return (
    <>
      <LaunchNotes launch={launch} />
      <Figures launch={launch} />
      <div className="two">
        <div className="stack">
          <Phases launch={launch} attempt={chosen} />
          {chosen && <LogTail key={chosen.nodeId} nodeId={chosen.nodeId} title={`Log of ${chosen.nodeName}`} />}
        </div>
        <div className="stack">
          <Attempts
            launch={launch}
            chosen={chosen}
            onChoose={(one) => set({ attempt: one === attempts.at(-1) ? '' : String(one.ordinal) })}
          />
          <Asked launch={launch} />
        </div>
      </div>
    </>
  )
}

function Figures({ launch }: { readonly launch: LaunchDetail }) {
  const { state, percent, etaMs, createdAt, endedAt, attempts, costMicroUsd, deadlineAt } = launch
  const ready = launchReadyAt(launch)
  const now = attempts.at(-1)
  const offer = now?.offer ?? launch.offers[0]
  const eta = state === 'attempting' && etaMs !== null && `ready in about ${humanRough(etaMs)}`
  return (
    <Facts
      of={[
        ['State', <MarkedState key="s" of={markOfLaunch(state)} />],
        [
          'Progress',
          <span key="p">
            {percent} % {eta && <small>{eta}</small>}
          </span>,
        ],
        [
          ready ? 'Ready after' : 'Elapsed',
          <span key="e">
            <Elapsed from={createdAt} to={ready ?? endedAt} />{' '}
            {!ready && endedAt === null && deadlineAt && (
              <small>
                given up in <Left until={deadlineAt} />
              </small>
            )}
          </span>,
        ],
        [
          now ? 'Offer' : 'First choice',
          offer ? (
            <span key="o">
              {placeOf(offer)}{' '}
              <small>
                {machineOf(offer)}, {boughtAs(offer)}
              </small>
            </span>
          ) : (
            'none fits'
          ),
        ],
        [
          'Cost so far',
          <span key="c">
            <Money microUsd={costMicroUsd} />{' '}
            {now && now.nodeState !== 'gone' && <small>at {usdPerHour(now.offer.pricePerHourMicroUsd)}</small>}
          </span>,
        ],
      ]}
    />
  )
}

function Asked({ launch }: { readonly launch: LaunchDetail }) {
  const { deployment, deploymentId, slot, engine, requestedBy, origin, createdAt } = launch
  return (
    <Panel title="What was asked">
      <div className="stack">
        <Pairs
          of={[
            [
              'Deployment',
              <span key="d">
                <Link to="/deployments/$id" params={{ id: deploymentId }} className="link">
                  {deployment}
                </Link>{' '}
                slot {slot}
              </span>,
            ],
            ['By', `${requestedBy} (${origin})`],
            ['At', <Clock key="a" at={createdAt} />],
            ['Engine', engine],
            ...askedWords(launch),
          ]}
        />
        <CopyText text={commandOf({ act: 'createLaunch', body: askedAs(launch) })} />
      </div>
    </Panel>
  )
}
