import type { StatusView } from '../../src/wire/views.ts'
import { CopyText } from '../parts/copy.tsx'
import { StateMark } from '../parts/mark.tsx'
import { Empty, Panel } from '../parts/panel.tsx'
import { Age } from '../parts/time.tsx'

/** Where requests go in, and whether each gateway routes by the newest table. */
export function Gateways({ gateways }: { readonly gateways: StatusView['gateways'] }) {
  return (
    <Panel title="Gateways" flush>
      {gateways.length === 0 ? (
        <Empty title="No gateway reports, so no request is routed." />
      ) : (
        <ul className="body stack">
          {gateways.map(({ id, url, seenAt, tableCurrent }) => (
            <li key={id}>
              <StateMark shape={tableCurrent ? 'good' : 'doubtful'}>
                {tableCurrent ? 'routes by the newest table' : 'routes by an older table'}
              </StateMark>
              , heard <Age at={seenAt} /> ago
              <CopyText text={`${url.replace(/\/+$/, '')}/v1`} />
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}
