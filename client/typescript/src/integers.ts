import { SuanpanError } from "./errors.js";

/**
 * Refuses numbers that are not whole or too large to be exact. Every number of the contract is an integer, and
 * amounts are minor units: 199.00 yuan is 19900.
 */
export function requireIntegers(value: unknown, field = ""): void {
  visitNumbers(value, field, (number, at) => {
    if (!Number.isSafeInteger(number)) {
      throw new SuanpanError({
        outcome: "not_sent",
        code: "number_not_integer",
        detail: `${number} is not a whole number; amounts are integers in minor units, 199.00 yuan is 19900`,
        field: at,
      });
    }
  });
}

/** Refuses an answer of which a number could not be read exactly. */
export function requireExact(value: unknown): void {
  visitNumbers(value, "", (number, at) => {
    if (!Number.isSafeInteger(number)) {
      throw new SuanpanError({
        outcome: "unknown",
        code: "number_too_large",
        detail: "the answer holds a number that JavaScript cannot hold exactly; nothing of it is returned",
        field: at,
      });
    }
  });
}

function visitNumbers(value: unknown, field: string, visit: (number: number, field: string) => void): void {
  if (typeof value === "number") {
    visit(value, field);
  } else if (Array.isArray(value)) {
    value.forEach((item, i) => visitNumbers(item, `${field}[${i}]`, visit));
  } else if (typeof value === "object" && value !== null) {
    for (const [name, item] of Object.entries(value)) {
      visitNumbers(item, field === "" ? name : `${field}.${name}`, visit);
    }
  }
}
