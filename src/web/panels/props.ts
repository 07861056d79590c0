// What every panel is given. Knows nothing else.
import type { Session, State } from '../session.ts';

export interface PanelProps {
  readonly session: Session;
  readonly state: State;
}
