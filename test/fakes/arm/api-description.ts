/**
 * The body of an agent pool as the published API description (2026-06-01) has it. What is not in it is refused, and so is a value of another
 * type; a read-only property may be sent, as clients send back what they got, and is ignored.
 */
import { ArmRefusal, invalidBody, invalidParameter } from './errors';
import type { PoolProperties } from './types';

type Shape = 'string' | 'integer' | 'number' | 'boolean' | 'strings' | 'texts' | 'object' | 'readOnly' | Words | Nested;
interface Words {
  readonly oneOf: readonly string[];
}
interface Nested {
  readonly properties: Readonly<Record<string, Shape>>;
}

const oneOf = (...words: string[]): Words => ({ oneOf: words });

export const POOL_PROPERTIES: Readonly<Record<string, Shape>> = {
  eTag: 'readOnly',
  count: 'integer',
  vmSize: 'string',
  osDiskSizeGB: 'integer',
  osDiskType: oneOf('Managed', 'Ephemeral'),
  kubeletDiskType: oneOf('OS', 'Temporary'),
  workloadRuntime: oneOf('OCIContainer', 'WasmWasi', 'KataVmIsolation'),
  messageOfTheDay: 'string',
  vnetSubnetID: 'string',
  podSubnetID: 'string',
  podIPAllocationMode: oneOf('DynamicIndividual', 'StaticBlock'),
  maxPods: 'integer',
  osType: oneOf('Linux', 'Windows'),
  osSKU: oneOf(
    'Ubuntu',
    'Ubuntu2204',
    'Ubuntu2404',
    'AzureLinux',
    'AzureLinux3',
    'AzureContainerLinux',
    'CBLMariner',
    'Windows2019',
    'Windows2022',
    'Windows2025',
  ),
  maxCount: 'integer',
  minCount: 'integer',
  enableAutoScaling: 'boolean',
  scaleDownMode: oneOf('Delete', 'Deallocate'),
  type: oneOf('VirtualMachineScaleSets', 'AvailabilitySet', 'VirtualMachines'),
  mode: oneOf('System', 'User', 'Gateway'),
  orchestratorVersion: 'string',
  currentOrchestratorVersion: 'readOnly',
  nodeImageVersion: 'string',
  upgradeSettings: {
    properties: {
      maxSurge: 'string',
      maxUnavailable: 'string',
      drainTimeoutInMinutes: 'integer',
      nodeSoakDurationInMinutes: 'integer',
      undrainableNodeBehavior: oneOf('Cordon', 'Schedule'),
    },
  },
  provisioningState: 'readOnly',
  powerState: { properties: { code: oneOf('Running', 'Stopped') } },
  availabilityZones: 'strings',
  enableNodePublicIP: 'boolean',
  nodePublicIPPrefixID: 'string',
  scaleSetPriority: oneOf('Spot', 'Regular'),
  scaleSetEvictionPolicy: oneOf('Delete', 'Deallocate'),
  spotMaxPrice: 'number',
  tags: 'texts',
  nodeLabels: 'texts',
  nodeTaints: 'strings',
  proximityPlacementGroupID: 'string',
  kubeletConfig: 'object',
  linuxOSConfig: 'object',
  enableEncryptionAtHost: 'boolean',
  enableUltraSSD: 'boolean',
  enableFIPS: 'boolean',
  gpuInstanceProfile: oneOf('MIG1g', 'MIG2g', 'MIG3g', 'MIG4g', 'MIG7g'),
  creationData: { properties: { sourceResourceId: 'string' } },
  capacityReservationGroupID: 'string',
  hostGroupID: 'string',
  networkProfile: 'object',
  windowsProfile: { properties: { disableOutboundNat: 'boolean' } },
  securityProfile: {
    properties: {
      enableVTPM: 'boolean',
      enableSecureBoot: 'boolean',
      sshAccess: oneOf('LocalUser', 'Disabled', 'EntraId'),
    },
  },
  gpuProfile: { properties: { driver: oneOf('Install', 'None') } },
  gatewayProfile: { properties: { publicIPPrefixSize: 'integer' } },
  artifactStreamingProfile: { properties: { enabled: 'boolean' } },
  virtualMachinesProfile: 'object',
  virtualMachineNodesStatus: 'readOnly',
  status: 'readOnly',
  localDNSProfile: 'object',
};

/** The properties of a PUT's body without the read-only ones; throws the service's refusal. */
export function readPoolBody(body: unknown): PoolProperties {
  if (!isObject(body)) throw new ArmRefusal(invalidBody('the body is not a JSON object', 'body'));
  for (const key of Object.keys(body)) {
    // The envelope's own are read-only, and ignored.
    if (!['properties', 'id', 'name', 'type', 'systemData'].includes(key)) refuseUnknown(key, 'body');
  }
  const { properties } = body;
  if (!isObject(properties)) throw new ArmRefusal(invalidParameter('Required parameter properties is missing (null).'));
  check(properties, POOL_PROPERTIES, 'properties');
  return Object.fromEntries(
    Object.entries(structuredClone(properties)).filter(
      ([key, value]) => POOL_PROPERTIES[key] !== 'readOnly' && value !== null,
    ),
  );
}

function check(value: Readonly<Record<string, unknown>>, shapes: Nested['properties'], path: string): void {
  for (const [key, one] of Object.entries(value)) {
    const shape = shapes[key];
    if (shape === undefined) refuseUnknown(key, path);
    else if (one !== null && one !== undefined) checkOne(one, shape, `${path}.${key}`);
  }
}

function checkOne(value: unknown, shape: Shape, path: string): void {
  if (shape === 'readOnly') return;
  if (typeof shape === 'object') {
    if ('oneOf' in shape) {
      if (typeof value !== 'string') refuseType(path, 'string');
      if (shape.oneOf.includes(value)) return;
      throw new ArmRefusal(
        invalidParameter(
          `The value of parameter ${path} is invalid. Value '${String(value)}' is not one of ${shape.oneOf.join(', ')}.`,
          path,
        ),
      );
    }
    if (!isObject(value)) refuseType(path, 'object');
    return check(value, shape.properties, path);
  }
  if (!isOfType(value, shape)) refuseType(path, shape);
}

function isOfType(value: unknown, shape: Exclude<Shape, object>): boolean {
  switch (shape) {
    case 'integer':
      return Number.isInteger(value);
    case 'strings':
      return Array.isArray(value) && value.every((one) => typeof one === 'string');
    case 'texts':
      return isObject(value) && Object.values(value).every((one) => typeof one === 'string');
    case 'object':
      return isObject(value);
    case 'readOnly':
      return true;
    case 'string':
    case 'number':
    case 'boolean':
      return typeof value === shape;
  }
}

function refuseUnknown(key: string, path: string): never {
  throw new ArmRefusal(invalidBody(`json: unknown field "${key}"`, path));
}

function refuseType(path: string, wanted: string): never {
  throw new ArmRefusal(invalidBody(`json: cannot unmarshal the value of ${path} into ${wanted}`, path));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
