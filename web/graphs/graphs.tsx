import type { ReactNode } from 'react'
import { useAddressState } from '../parts/address-state.ts'
import { Panel } from '../parts/panel.tsx'
import { Pick } from '../parts/pick.tsx'
import look from './graph.module.css'

const lastHour = { span: '' }
export type Span = 'hour' | 'day'

/** Over which time graphs reach, kept in the address. */
export function useSpan(): [span: Span, pick: ReactNode] {
  const [{ span }, set] = useAddressState(lastHour)
  const pick = (
    <Pick
      label="Time"
      any="the last hour"
      value={span}
      options={[['day', 'the last day']]}
      onPick={(one) => set({ span: one })}
    />
  )
  return [span === 'day' ? 'day' : 'hour', pick]
}

export interface GraphsProps {
  readonly title: string
  readonly pick: ReactNode
  readonly children: ReactNode
}

export function Graphs({ title, pick, children }: GraphsProps) {
  return (
    <Panel title={title} actions={pick} flush>
      <div className={look['graphs']}>{children}</div>
    </Panel>
  )
}
