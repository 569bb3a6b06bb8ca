import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { listening } from '../../fakes/kubelet/fake-kubelet';
import { run } from './io';

const EXAMPLE = readFileSync(join(__dirname, '../../../examples/phi-3-inference.yaml'), 'utf8');
const files = { 'phi.yaml': EXAMPLE };
const NO_CLUSTER = ['--kubeconfig', '/nonexistent'];

test('needs no cluster: it says that admission was not asked, and plans', async () => {
  const { code, out } = await run(['plan', '-f', 'phi.yaml', ...NO_CLUSTER], { files });
  expect(code).toBe(0);
  expect(out).toMatch(/^Model +microsoft\/Phi-3-mini-4k-instruct: weights 7\.12 GiB, disk 87 GiB\n/);
  expect(out).toMatch(/\nWould get +1 × Standard_NC6s_v3\n/);
  expect(out).toMatch(/\nAdmission +not asked: .*\/nonexistent/);
});

test('ends with 1 when nothing fits, and says why', async () => {
  const { code, out } = await run(
    ['plan', '-f', 'phi.yaml', '--size', 'g4ad.xlarge', '--no-dry-run', '-o', 'json', ...NO_CLUSTER],
    { files },
  );
  expect(code).toBe(1);
  const plan = JSON.parse(out) as { first?: object; candidates: { fits: boolean; reason: string }[] };
  expect(plan.first).toBeUndefined();
  expect(plan.candidates).toEqual([
    expect.objectContaining({ fits: false, reason: expect.stringContaining('NVIDIA GPUs only') as string }),
  ]);
});

test('shows prices of the region, for all nodes of a candidate, and does without when the list is silent', async () => {
  const asked: string[] = [];
  const { server, port } = await listening((request, response) => {
    asked.push(new URL(request.url ?? '', 'http://list').searchParams.get('$filter') ?? '');
    const sku = 'Standard_NC24ads_A100_v4';
    const item = { armSkuName: sku, skuName: 'NC24ads', type: 'Consumption', unitOfMeasure: '1 Hour' };
    const Items = [
      { ...item, productName: 'NCads Windows', retailPrice: 9 },
      { ...item, productName: 'NCads', retailPrice: 3.673 },
    ];
    response.end(JSON.stringify({ Items }));
  });
  const args = ['plan', '-f', 'phi.yaml', '--size', 'Standard_NC24ads_A100_v4', '--region', 'eastus', '--no-dry-run'];
  try {
    const { out } = await run([...args, '--price-list', `http://127.0.0.1:${port}`, ...NO_CLUSTER], { files });
    expect(asked).toEqual([expect.stringContaining("armRegionName eq 'eastus'")]);
    expect(out).toMatch(/Would get +1 × Standard_NC24ads_A100_v4, \$3\.67 an hour\n/);
  } finally {
    server.close();
  }
  const silent = await run([...args, '--price-list', 'http://127.0.0.1:9', ...NO_CLUSTER], { files });
  expect(silent).toMatchObject({
    code: 0,
    err: 'note: prices are left out: http://127.0.0.1:9 does not answer\n',
  });
});

test('names the field of a manifest that cannot be planned, with exit code 2', async () => {
  const broken = { 'broken.yaml': EXAMPLE.replaceAll('name: phi-3-mini-4k-instruct', 'name: no-such-model') };
  const { code, err } = await run(['plan', '-f', 'broken.yaml', '--no-dry-run', ...NO_CLUSTER], { files: broken });
  expect(code).toBe(2);
  expect(err).toMatch(/^error: inference\.preset\.name: Unsupported inference preset name no-such-model/);
});
