import { Button } from './button.tsx'

export interface PagerProps {
  /** Where this page begins; empty: at the newest. */
  readonly cursor: string
  /** Where the next older page begins; null: there is none. */
  readonly nextCursor: string | null
  readonly onGo: (cursor: string) => void
}

/** Leafs through a list that the API gives page by page, newest first. */
export function Pager({ cursor, nextCursor, onGo }: PagerProps) {
  if (cursor === '' && nextCursor === null) return null
  return (
    <>
      {cursor !== '' && (
        <Button look="quiet" onPress={() => onGo('')}>
          Newest
        </Button>
      )}
      {nextCursor !== null && (
        <Button look="quiet" onPress={() => onGo(nextCursor)}>
          Older
        </Button>
      )}
    </>
  )
}
