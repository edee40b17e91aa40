"""Part of a picture made anew, inside a mask that is drawn here. Outside of it every pixel stays as it was."""

from PIL import Image, ImageDraw

import sfumato as sf
from sfumato.images import to_tensor

model = sf.load("digits")
photo = sf.sample(model, sf.guided("3", scale=2), seeds=[5])[0]  # or to_tensor(read_image(path), (28, 28), 1)

drawn = Image.new("L", (28, 28), 0)  # black: kept
ImageDraw.Draw(drawn).rectangle((0, 0, 13, 27), fill=255)  # white: made anew
mask = to_tensor(drawn, (28, 28), 1)

made = sf.sample(model, sf.guided("8", scale=2), image=photo, mask=mask, seeds=range(6))
assert bool((made[:, :, :, 14:] == photo[:, :, 14:]).all())
sf.sheet(made, columns=6).save("inpainted.png")
