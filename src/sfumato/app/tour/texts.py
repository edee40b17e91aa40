"""What the tour says of each row before anything is run: its title, its idea and its formula."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """The constant part of a section."""

    id: str
    title: str
    idea: str
    """In two sentences."""
    formula: str
    """In the notation of `formula`, a line for each equation."""
    words: str
    """The formula in words."""


_A = (
    Text(
        "A0",
        "From words to a picture",
        "A model that has learned what things are called can be asked for one, and makes it out of noise step by step. "
        "More steps cost more time; whether they are worth it is a question of measuring.",
        'x_T ∼ N ( 0 , 1 ) ; x_T → … → x_0 "\u00a0in\u00a0" n "\u00a0steps"',
        "The same noise is denoised in fewer and in more steps, each a longer or a shorter way down the schedule.",
    ),
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
        "Before there were networks one blurred: noise is mostly fine detail, and a Gaussian filter averages it away. "
        "It averages the edges of the picture away as well.",
        "x̂ = G_σ ∗ x_t",
        "The estimate is the noised picture, smoothed with a Gaussian of σ pixels. It does not undo the fading.",
    ),
    Text(
        "A1.3",
        "One-step denoising",
        "A network that has learned to see the noise in a noised picture can take it away at once. Where it is in "
        "doubt it answers with the mean of what could be underneath.",
        "x̂_0 = frac{x_t − √{1 − ᾱ_t} ε̂ ( x_t , t )}{√{ᾱ_t}}",
        "Subtract the estimated noise, undo the fading. The answer softens where there is doubt.",
    ),
    Text(
        "A1.4",
        "Iterative denoising",
        "Rather than to jump to the end, go a little way towards the estimate, look again, and go on. Each look is at "
        "a picture with less noise, so there is less to guess each time.",
        "x_{t′} = frac{√{ᾱ_{t′}} β}{1 − ᾱ_t} x̂_0 + frac{√{α} ( 1 − ᾱ_{t′} )}{1 − ᾱ_t} x_t + v_σ\n"
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
        "wanted. Then walk further along it than the network proposes.",
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
        "The same with drawings, which are not what the model was trained on, or only nearly. The model pulls each of "
        "them towards what it knows.",
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
        "The coarse forms of one thing and the meaning of another can meet in one picture. Start from the picture, and "
        "guide towards the prompt.",
        "ε̂ = ε_u + γ ( ε_c − ε_u ) ; x_{t_i} → … → x̂_0",
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
        "One picture that is one thing from afar and another from near. The eye keeps coarse forms at a distance and "
        "fine ones close by, so each is given its own prompt.",
        'ε̂ = "lowpass" ( ε_1 ) + "highpass" ( ε_2 )',
        "The low frequencies of the first estimate plus the high frequencies of the second, parted by a Gaussian. "
        "Each is guided.",
    ),
    Text(
        "A2",
        "A picture designed, and made larger",
        "A first model draws a small picture from a prompt, a second one was trained to make such pictures larger. It "
        "invents the detail that the small one has no room for.",
        'ε̂ = ε_θ ( [ x_t , "noised" ( "small" ) ] , t , c )',
        "The second model sees the noise it works on and, beside it, the small picture, itself a little noised.",
    ),
)
_B = (
    Text(
        "B1.1",
        "Adding noise",
        "Part B starts from scratch, with the simplest of all tasks. There are clean pictures, and the same with noise "
        "on them.",
        "z = x + σ ε",
        "The noisy picture is the clean one plus Gaussian noise of standard deviation σ. Nothing is faded here.",
    ),
    Text(
        "B1.2",
        "Training a denoiser",
        "A UNet is shown noisy pictures and asked for the clean ones. It is wrong at first, and corrected many times.",
        'L = "E" ‖ D_θ ( z ) − x ‖^2',
        "The loss is the mean squared difference between what the network D makes of the noisy picture and the clean "
        "one.",
    ),
    Text(
        "B1.3",
        "Noise it never saw",
        "The denoiser was trained on one amount of noise. What does it do with less, and with more?",
        'x̂ = D_θ ( x + σ ε ) ; σ ≠ σ_{"train"}',
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
        "Told also what it is looking at, the network can be asked for it. One time in ten that is hidden, so that it "
        "learns the unconditional estimate too, which guidance needs.",
        'L = "E" ‖ ε_θ ( x_t , t , c ) − ε ‖^2 ; c = 0 "\u00a0one time in ten"',
        "The same loss, with the condition c as a vector, or a vector of zeros.",
    ),
    Text(
        "B2.7",
        "Another way: flow matching",
        "Picture and noise are mixed along a straight line, and the network is asked which way along it the picture "
        "lies: for the velocity. Later editions of the course train this in place of the diffusion model.",
        'L = "E" ‖ u_θ ( x_t , t , c ) − ( x_0 − ε ) ‖^2 ; x_t = ( 1 − t ) x_0 + t ε',
        "The loss is the mean squared difference between the direction from the noise to the picture and the "
        "network's estimate of it at a point between them. A sample is a walk along these directions, by Euler's "
        "method.",
    ),
    Text(
        "B3",
        "Denoising in motion",
        "All of it at once, watched while it happens. Forms come before details, and what is asked for decides early.",
        "x_T → x_{T−1} → … → x_0",
        "Every few steps of the loop a frame.",
    ),
)
_C = (
    Text(
        "C1",
        "Three readings and more",
        "Nothing in the formula says that there are two. Each further reading is one more view that the network looks "
        "through, and one more opinion in the mean.",
        "ε̂ = frac{1}{n} Σ_i A_i^{−1} ε ( A_i x_t , c_i )",
        "The mean over all n views of the guided estimates, each turned back.",
    ),
    Text(
        "C2",
        "Put together differently",
        "A view need not move the picture as a whole. A disc in its middle may turn, or its pieces may be put together "
        "as another picture.",
        "A A^{⊤} = 1",
        "All that is asked of a view is that white noise stays white: any rearrangement of the pixels, and any change "
        "of their signs, will do.",
    ),
    Text(
        "C3",
        "A prompt for each region",
        "A mask says where a prompt is to be drawn. The estimates are laid into each other before anything is drawn, "
        "so the parts grow into one picture.",
        "ε̂ = Σ_i m_i ε ( x_t , c_i ) ; Σ_i m_i = 1",
        "At every pixel the estimates of the regions' prompts, weighted by masks that sum to one.",
    ),
    Text(
        "C4",
        "Wider than the model",
        "A model sees pictures of one size, but a canvas may be larger. It is seen crop by crop, and where crops "
        "overlap their answers are blended.",
        "ε̂ = Σ_i w_i R_i^{⊤} ε ( R_i x_t , c )\nΣ_i w_i R_i^{⊤} R_i = 1",
        "Each crop's estimate is put back in its place, with weights that fall off smoothly and sum to one.",
    ),
    Text(
        "C5",
        "Other ways to part a picture",
        "Near and far are one way to split a picture into parts that each have a prompt. Any filters will do that sum "
        "to the whole: three bands of frequencies, what a motion blurs and what it leaves, greyness and colour.",
        "ε̂ = Σ_i L_i ε ( x_t , c_i ) ; Σ_i L_i = 1",
        "Each filter L takes its part of the estimate for its own prompt.",
    ),
    Text(
        "C6",
        "Searching for the one that works",
        "Most illusions fail, and which succeed depends on the noise they start from. So try many seeds, let a judge "
        "read each in every way, and keep the one whose weakest reading is strongest.",
        's^∗ = "arg max"_s "min"_i p ( c_i | A_i x_s )',
        "Of all seeds s the one whose least probable reading is the most probable.",
    ),
)
TEXTS: dict[str, Text] = {entry.id: entry for entry in (*_A, *_B, *_C)}
"""By row."""
