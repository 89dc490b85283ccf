import { issue } from '../../tokens';

export function POST() {
  console.log('POST /auth/login');
  return issue();
}
