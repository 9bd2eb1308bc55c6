import { Link } from '@tanstack/react-router'
import { Page } from '../parts/page.tsx'
import { Empty } from '../parts/panel.tsx'

export function Nowhere() {
  return (
    <Page title="There is no such page">
      <Empty title="The address leads nowhere.">
        <Link to="/" className="link">
          Go to the start
        </Link>
      </Empty>
    </Page>
  )
}
