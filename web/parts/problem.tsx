import type { FailureRecord } from '../../src/core/failure.ts'
import { failureOf } from '../api/client.ts'
import { longestEvidence, plainText } from '../words/plain-text.ts'

/** What went wrong, what to do about it, and what it was told by; of a call, or of a launch or node. */
export function Failed({ failure, requestId }: { readonly failure: FailureRecord; readonly requestId?: string }) {
  return (
    <div className="note bad" role="alert">
      <p>
        <strong>{failure.cause}</strong>
      </p>
      <p className="soft">{failure.remedy}</p>
      {failure.evidence && <pre className="mono soft evidence">{plainText(failure.evidence, longestEvidence)}</pre>}
      <p className="faint">
        <small>
          {failure.code}
          {requestId && ` · request ${requestId}`}
        </small>
      </p>
    </div>
  )
}

/** A call that was refused or got no answer; nothing where there is none. */
export function Problem({ of }: { readonly of: unknown }) {
  if (of === null || of === undefined) return null
  const { error, requestId } = failureOf(of)
  return <Failed failure={error} requestId={requestId} />
}
