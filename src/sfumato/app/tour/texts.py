"""What the tour says of each row before anything is run: its title, its idea and its formula."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """The constant part of a section."""

    id: str
    title: str
    idea: str
    formula: str
    """In the notation of `formula`."""
    words: str
    """The formula in words."""


_ALL = (
    Text(
        "A1.1",
        "The forward process",
        "Diffusion begins with destruction: a clean picture is faded and covered with Gaussian noise, a little or "
        "a lot. Everything that follows learns to undo this.",
        "x_t = √{ᾱ_t} x_0 + √{1 − ᾱ_t} ε ; ε ∼ N ( 0 , 1 )",
        "The noised picture at time t is the clean one, faded by √ᾱ, plus noise of standard deviation √(1−ᾱ).",
    ),
    Text(
        "A1.2",
        "Classical denoising",
        "Before there were networks one blurred: noise is mostly fine detail, and a Gaussian filter averages it away, "
        "together with the edges of the picture.",
        "x̂ = G_σ ∗ x_t",
        "The estimate is the noised picture, smoothed with a Gaussian of σ pixels. It does not undo the fading.",
    ),
    Text(
        "A1.3",
        "One-step denoising",
        "A network that has learned to see the noise in a noised picture can take it away at once.",
        "x̂_0 = frac{x_t − √{1 − ᾱ_t} ε̂ ( x_t , t )}{√{ᾱ_t}}",
        "Subtract the estimated noise, undo the fading. The answer is the mean of all pictures that could be "
        "underneath, so it softens where there is doubt.",
    ),
    Text(
        "A1.4",
        "Iterative denoising",
        "Rather than to jump to the end, go a little way towards the estimate, look again, and go on. Each look is at "
        "a picture with less noise, so there is less to guess each time.",
        "x_{t′} = frac{√{ᾱ_{t′}} β}{1 − ᾱ_t} x̂_0 + frac{√{α} ( 1 − ᾱ_{t′} )}{1 − ᾱ_t} x_t + v_σ ; "
        "α = frac{ᾱ_t}{ᾱ_{t′}} ; β = 1 − α",
        "The next picture, at the earlier time t′, is a weighted mean of the estimate and the present one, plus a "
        "little fresh noise v (none in the last step).",
    ),
    Text(
        "A1.5",
        "Sampling from pure noise",
        "Nothing says that there has to be a picture underneath. Started from noise alone, the same loop invents one.",
        "x_T ∼ N ( 0 , 1 ) ; x_T → x_{T−1} → … → x_0",
        "Begin with white noise at the noisiest level, and denoise iteratively.",
    ),
    Text(
        "A1.6",
        "Classifier-free guidance",
        "Ask the network twice, once for what is wanted and once for anything at all; the difference points to what is "
        "wanted, and one walks further along it than the network proposes.",
        "ε̂ = ε_u + γ ( ε_c − ε_u )",
        "The unconditional estimate plus γ times the difference to the conditional one. γ = 1 is no guidance; more "
        "is meant to make pictures more typical, at the price of variety.",
    ),
    Text(
        "A1.7",
        "Image to image (SDEdit)",
        "Noise a real picture part of the way and denoise it: the coarse forms remain, the rest is made anew. How much "
        "remains is the choice of the start: a small one is nearly pure noise, a large one nearly the picture.",
        "x_{t_i} = √{ᾱ_{t_i}} x_0 + √{1 − ᾱ_{t_i}} ε ; x_{t_i} → … → x̂_0",
        "Start at entry i of the list of times instead of at its beginning.",
    ),
    Text(
        "A1.7.1",
        "Hand-drawn pictures",
        "The same with drawings that are no digits, or nearly. The model pulls each towards what it knows.",
        'x_{t_i} = √{ᾱ_{t_i}} x_{"drawing"} + √{1 − ᾱ_{t_i}} ε',
        "The drawing is noised to entry i of the list of times and denoised from there.",
    ),
    Text(
        "A1.7.2",
        "Inpainting",
        "Make only a part anew. After every step the rest is put back, noised to the level of the moment, so that the "
        "new part grows to fit it.",
        'x_t ← m x_t + ( 1 − m ) "forward" ( x_{"orig"} , t )',
        "Where the mask m is 1 the canvas goes its way; where it is 0 it is the original. After the last step the "
        "original comes back without noise. RePaint walks each stretch several times, so that the parts can agree.",
    ),
    Text(
        "A1.7.3",
        "Image to image with a prompt",
        "The coarse forms of one thing, the meaning of another: start from the picture, and guide towards a prompt.",
        "ε̂ = ε_u + γ ( ε_{c} − ε_u ) ; x_{t_i} → … → x̂_0",
        "As before, with a condition c under guidance.",
    ),
    Text(
        "A1.8",
        "Visual anagrams",
        "One picture that is two things, depending on how it is held. At each step the network looks at the canvas "
        "both ways and both of its answers, turned back, are followed at once.",
        "ε̂ = frac{1}{2} ( ε ( x_t , c_1 ) + A^{−1} ε ( A x_t , c_2 ) )",
        "The mean of the estimate for the first prompt and of the one for the second prompt on the turned canvas, "
        "turned back. Each is guided. A is a turn, a flip, or any orthogonal view.",
    ),
    Text(
        "A1.9",
        "Hybrid images",
        "One picture that is one thing from afar and another from near: the eye keeps coarse forms at a distance and "
        "fine ones close by, so each is given its own prompt.",
        'ε̂ = "lowpass" ( ε_1 ) + "highpass" ( ε_2 )',
        "The low frequencies of the first estimate plus the high frequencies of the second, parted by a Gaussian. "
        "Each is guided.",
    ),
    Text(
        "B1.1",
        "Adding noise",
        "Part B starts from scratch, with the simplest of all tasks: digits, and digits with noise on them.",
        "z = x + σ ε",
        "The noisy picture is the clean one plus Gaussian noise of standard deviation σ. Nothing is faded here.",
    ),
    Text(
        "B1.2",
        "Training a denoiser",
        "A UNet is shown noisy digits and asked for the clean ones. It is wrong at first, and corrected many times.",
        'L = "E" ‖ D_θ ( z ) − x ‖^2',
        "The loss is the mean squared difference between what the network D makes of the noisy picture and the clean "
        "one, always at σ = 0.5.",
    ),
    Text(
        "B1.3",
        "Noise it never saw",
        "The denoiser was trained on one amount of noise. What does it do with less, and with more?",
        "x̂ = D_θ ( x + σ ε ) ; σ ≠ 0.5",
        "The same network, other noise levels.",
    ),
    Text(
        "B2.1",
        "A diffusion model: the time",
        "Told how noisy its picture is, one network serves all levels, and denoising step by step becomes possible. It "
        "is asked for the noise rather than for the picture.",
        'L = "E" ‖ ε_θ ( x_t , t ) − ε ‖^2',
        "The loss is the mean squared difference between the noise that was added and the network's estimate of it, "
        "over all times t.",
    ),
    Text(
        "B2.4",
        "A diffusion model: the class",
        "Told also which digit it is looking at, the network can be asked for one. One time in ten the class is "
        "hidden, so that it learns the unconditional estimate too, which guidance needs.",
        'L = "E" ‖ ε_θ ( x_t , t , c ) − ε ‖^2 ; c = 0 "\u00a0one time in ten"',
        "The same loss, with the digit c as one-hot vector, or a vector of zeros.",
    ),
    Text(
        "B3",
        "Denoising in motion",
        "All of it at once, watched while it happens.",
        "x_T → x_{T−1} → … → x_0",
        "Every few steps of the loop a frame.",
    ),
)
TEXTS: dict[str, Text] = {entry.id: entry for entry in _ALL}
"""By row of the specification."""
