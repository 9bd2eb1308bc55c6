import type { StatusView } from '../../src/wire/views.ts'
import { useRead } from '../api/reading.ts'
import { Money } from '../parts/money.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Facts, Pairs, Panel } from '../parts/panel.tsx'
import { Left } from '../parts/time.tsx'
import { Automation } from '../settings/automation.tsx'
import { Clouds } from '../settings/clouds.tsx'
import { Gateways } from '../settings/gateways.tsx'
import { Loops } from '../settings/loops.tsx'
import { LostMachines } from '../settings/lost-machines.tsx'
import { Secrets } from '../settings/secrets.tsx'

export function SettingsPage() {
  const status = useRead('status')
  return (
    <Page title="Settings" sub="How this install is doing">
      <Loaded of={status}>
        {(now) => (
          <>
            <Install status={now} />
            <div className="two">
              <div className="stack">
                <Loops loops={now.loops} />
                <Clouds silent={now.silentClouds} />
                <LostMachines status={now} />
              </div>
              <div className="stack">
                <Automation status={now} />
                <Gateways gateways={now.gateways} />
                <Secrets />
                <You />
              </div>
            </div>
          </>
        )}
      </Loaded>
    </Page>
  )
}

function Install({ status }: { readonly status: StatusView }) {
  const { install, version, burnPerHourMicroUsd, database } = status
  return (
    <Facts
      of={[
        ['Install', install],
        ['Version', version],
        ['Costs now', <Money key="m" microUsd={burnPerHourMicroUsd} perHour />],
        [
          'Database',
          <span key="d">
            {database.kind}{' '}
            <small>
              {database.poolSize} connections, {database.waitingNow} wait, {database.longestWaitMs} ms at most
            </small>
          </span>,
        ],
      ]}
    />
  )
}

function You() {
  const me = useRead('me')
  return (
    <Panel title="You">
      <Loaded of={me}>
        {({ name, role, session }) => (
          <Pairs
            of={[
              ['Name', name],
              ['Role', role],
              [
                'Signed out',
                session && (
                  <span key="s">
                    in <Left until={session.endsAt} /> at the latest
                  </span>
                ),
              ],
            ]}
          />
        )}
      </Loaded>
    </Panel>
  )
}
