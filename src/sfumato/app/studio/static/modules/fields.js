/* The fields of forms. Each one is a value `{ element, value, on(handler) -> off, disabled }`: put `element` into the page, read and
 * write `value`; handlers hear changes of the user and of the program. A field ignores a value that it cannot take.
 *
 *   modelField(studio, {label, accept})            value: a model's name; also `.model` (the Model of hello). accept(model) -> bool
 *   promptField(studio, model, {label, several, anything, hint, compact, placeholder})
 *        model: a modelField. value: a prompt or null ("anything"); with `several` a list of them, never empty.
 *        Buttons for classes (with `compact` a select), a text for words, nothing where the model takes no condition.
 *   numberField({label, value, min, max, step, hint, whole, unit})   value: a number; `.limits({min, max})`
 *   stepsField(model, {usual}), guidanceField(model, {usual})   numberFields that follow the model's defaults, or `usual` steps; the
 *        guidance follows that entry of the Model, and hides where nothing can be asked
 *   seedField({label})                             value: a whole number; `.roll()`
 *   selectField({label, options: [{value, text}], value, hint})      `.options(list)`
 *   chipsField({label, options: [{value, text}], value, several, hint, least})  value: one or a list (in the order of the options)
 *   textField({label, value, placeholder, hint, lines})   value: a text
 *   checkField({label, value, hint})               value: a boolean
 *   samplerFields(studio, model, {without})        the "Advanced" disclosure: sampler, spacing, eta, threshold, negative, upscale.
 *        value: the part of a Job that differs from the model's own way; setting it to a whole Job takes what concerns it,
 *        also what it has no field for (variance, dtype, …), so that the same Job comes out again. without: ["negative", …]
 *   makeField({element, read, write})              your own; call its `.changed()` when the user changed it
 *   labelled(label, control, hint)                 a control with its label, as all of these have
 *   fillFrom(job, {name: field})                   set those fields that the Job speaks of, under these names, "model" first
 */

export { checkField, chipsField, labelled, makeField, numberField, randomSeed, seedField, selectField, textField } from "./controls.js";
export { fillFrom, guidanceField, modelField, stepsField, weightField } from "./model-fields.js";
export { promptField } from "./prompt-field.js";
export { samplerFields } from "./sampler-fields.js";
