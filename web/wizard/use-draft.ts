import { useEffect, useRef, useState } from 'react'
import { useAddressState } from '../parts/address-state.ts'
import { type Draft, emptyDraft, type Step, stepOf, tellSame } from './draft.ts'

export interface Drafting {
  readonly draft: Draft
  readonly step: Step
  readonly change: (patch: Partial<Draft>) => void
  /** A new entry of the browser's history, so that its back button leads to the step before. */
  readonly go: (step: Step, patch?: Partial<Draft>) => void
}

/**
 * Opened, the wizard is as its address says; from then on the address says what was typed, and leads in the step alone:
 * the browser's back button goes to an address from before later steps were filled in, and must not empty them.
 */
export function useDraft(): Drafting {
  const [address, setAddress] = useAddressState(emptyDraft)
  const [draft, setDraft] = useState<Draft>(address)
  const change = (patch: Partial<Draft>) => setDraft((before) => ({ ...before, ...patch }))
  // What the address was told last, until it says so: it is of one drawing later.
  const told = useRef<Draft | null>(null)
  useEffect(() => {
    if (tellSame(draft, address)) told.current = null
    else if (told.current !== draft) {
      told.current = draft
      const { step: _, ...chosen } = draft
      setAddress(chosen)
    }
  }, [draft, address, setAddress])
  const go = (step: Step, patch: Partial<Draft> = {}) => {
    const next = { ...draft, ...patch, step }
    told.current = next
    setDraft(next)
    setAddress(next, { replace: false })
    window.scrollTo(0, 0)
  }
  return { draft, step: stepOf(address), change, go }
}
