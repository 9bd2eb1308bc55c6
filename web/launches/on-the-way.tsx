import { isOver, launchStates } from '../../src/core/launch-table.ts'
import { useRead } from '../api/reading.ts'
import { Panel } from '../parts/panel.tsx'
import { Table } from '../parts/table.tsx'
import { launchColumns } from './launch-columns.tsx'

/** States that a launch does not stay in, as the API takes them. */
export const onTheWay = launchStates.filter((state) => !isOver(state) && state !== 'live').join(',')

/** The launches that are under way; nothing where none is. */
export function OnTheWay() {
  const launches = useRead('listLaunches', { query: { state: onTheWay, limit: 20 } })
  if (!launches.data || launches.data.items.length === 0) return null
  return (
    <Panel title="On their way" flush>
      <Table
        label="Launches on their way"
        rows={launches.data.items}
        rowKey={({ id }) => id}
        rowLink={({ id }) => `/launches/${id}`}
        columns={launchColumns}
      />
    </Panel>
  )
}
