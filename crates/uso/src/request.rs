//! A request: what the model is to make, and how it is bought.

mod styles;
mod text;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uso_transport::{Error, Lifecycle, Problem, Webhook};
use uso_types::{ImageSizeChoice, OutputFormat, UsoInput};

pub use self::styles::Styles;
pub use self::text::OptionalText;
use crate::reference::Reference;

/// A seed that is chosen here stays below this: every client, fal's JavaScript one included, keeps
/// it exact, and no model is known to take fewer bits.
const SEED_LIMIT: u64 = 1 << 31;

/// A request for one or more new pictures: a constructor for each use of the model, then the
/// optional knobs.
///
/// | constructor | sends | means |
/// | --- | --- | --- |
/// | [`Request::subject`] | content | this subject in the scene of the prompt |
/// | [`Request::restyle`] | content, one or two styles, empty prompt, `keep_size` | this picture in that look, layout kept |
/// | [`Request::restyle_by_text`] | content, `keep_size` | this picture in the look that the words name |
/// | [`Request::reimagine`] | content | this picture in the look that the words name, new layout |
/// | [`Request::styled_scene`] | content, one or two styles | this subject, that look, a new scene |
/// | [`Request::raw`] | the input as given | everything else; bounds are still checked |
///
/// A knob that is not set is not sent, and the service's own default applies. Each knob takes a
/// value or an `Option` of one; `None` unsets it. Only the seed is always sent, because a job whose
/// submit response was lost is found again by its seed.
///
/// ```
/// use uso::{OutputFormat, Request};
///
/// let seed: Option<u64> = None;
/// let requests: Vec<Request> = vec![
///     Request::restyle("photo.jpg", "ink.webp").seed(seed),
///     Request::subject("cat.png", "a cat at dusk").images(4).format(OutputFormat::Jpeg),
/// ];
/// ```
#[derive(Clone)]
pub struct Request {
    content: Option<Reference>,
    styles: Vec<Reference>,
    input: UsoInput,
    pub(crate) terms: Terms,
    fit: bool,
}

/// How a request is bought.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Terms {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start_within: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lifecycle: Option<Lifecycle>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) webhook: Option<String>,
    #[serde(default)]
    pub(crate) low_priority: bool,
    #[serde(default)]
    pub(crate) no_service_retries: bool,
    #[serde(default)]
    pub(crate) no_history: bool,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Prompts are private to the caller.
        f.debug_struct("Request")
            .field("content", &self.content)
            .field("styles", &self.styles)
            .field("seed", &self.input.seed)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Puts the subject of `content` into the scene that `prompt` describes.
    pub fn subject(content: impl Into<Reference>, prompt: impl Into<String>) -> Self {
        Self::of_roles(content, Vec::new()).prompt(prompt)
    }

    /// Gives `content` the look of one or two style pictures. The layout stays, and no prompt is
    /// needed.
    ///
    /// ```
    /// use uso::Request;
    ///
    /// let one = Request::restyle("photo.jpg", "ink.webp");
    /// let mixed = Request::restyle("photo.jpg", ["ink.webp", "wash.webp"]);
    /// let second: Option<&str> = None;
    /// let perhaps_mixed = Request::restyle("photo.jpg", ("ink.webp", second));
    /// ```
    ///
    /// The model takes two styles at most, so three do not compile:
    ///
    /// ```compile_fail
    /// use uso::Request;
    /// let mixed = Request::restyle("photo.jpg", ["ink.webp", "wash.webp", "oil.webp"]);
    /// ```
    pub fn restyle(content: impl Into<Reference>, styles: impl Into<Styles>) -> Self {
        Self::of_roles(content, styles.into().into_vec())
            .prompt("")
            .keep_size(true)
    }

    /// Gives `content` the look that `instruction` names, such as "transform the image into
    /// watercolour style". The layout stays.
    pub fn restyle_by_text(content: impl Into<Reference>, instruction: impl Into<String>) -> Self {
        Self::of_roles(content, Vec::new())
            .prompt(instruction)
            .keep_size(true)
    }

    /// Makes `content` anew in the look that `prompt` names, with a new layout.
    pub fn reimagine(content: impl Into<Reference>, prompt: impl Into<String>) -> Self {
        Self::of_roles(content, Vec::new()).prompt(prompt)
    }

    /// Puts the subject of `content`, in the look of one or two style pictures, into the new scene
    /// that `prompt` describes.
    pub fn styled_scene(
        content: impl Into<Reference>,
        styles: impl Into<Styles>,
        prompt: impl Into<String>,
    ) -> Self {
        Self::of_roles(content, styles.into().into_vec()).prompt(prompt)
    }

    /// Sends the endpoint's input as given, for what the other constructors do not offer. Bounds
    /// are still checked, and a seed is chosen where the input has none.
    ///
    /// ```
    /// use uso::{Request, UsoInput};
    ///
    /// let request = Request::raw(UsoInput {
    ///     input_image_urls: vec!["https://example.org/photo.png".to_owned()],
    ///     sync_mode: Some(true),
    ///     ..UsoInput::default()
    /// });
    /// ```
    pub fn raw(input: UsoInput) -> Self {
        Self {
            content: None,
            styles: Vec::new(),
            input,
            terms: Terms::default(),
            fit: true,
        }
    }

    fn of_roles(content: impl Into<Reference>, styles: Vec<Reference>) -> Self {
        Self {
            content: Some(content.into()),
            styles,
            ..Self::raw(UsoInput::default())
        }
    }

    /// Sets what the picture shows.
    #[must_use]
    pub fn prompt(mut self, prompt: impl Into<String>) -> Self {
        self.input.prompt = Some(prompt.into());
        self
    }

    /// Sets what the picture does not show.
    #[must_use]
    pub fn negative_prompt(mut self, prompt: impl Into<OptionalText>) -> Self {
        self.input.negative_prompt = prompt.into().0;
        self
    }

    /// Sets the size of the new pictures: a preset, or width and height. The size of the content
    /// picture is then no longer kept.
    ///
    /// ```
    /// use uso::{ImageSize, ImageSizePreset, Request};
    ///
    /// let preset = Request::reimagine("a.png", "ink").size(ImageSizePreset::Portrait4_3);
    /// let custom = Request::reimagine("a.png", "ink")
    ///     .size(ImageSize { width: Some(1280), height: Some(720) });
    /// let default = Request::reimagine("a.png", "ink").size(None);
    /// ```
    #[must_use]
    pub fn size(mut self, size: impl Into<Option<ImageSizeChoice>>) -> Self {
        self.input.image_size = size.into();
        if self.input.image_size.is_some() {
            self.input.keep_size = None;
        }
        self
    }

    /// Keeps layout and size of the content picture. A size that was set before is dropped, since
    /// the service would ignore it.
    #[must_use]
    pub fn keep_size(mut self, keep: impl Into<Option<bool>>) -> Self {
        self.input.keep_size = keep.into();
        if self.input.keep_size == Some(true) {
            self.input.image_size = None;
        }
        self
    }

    /// Sets the denoising steps, from [`UsoInput::NUM_INFERENCE_STEPS_MIN`] to
    /// [`UsoInput::NUM_INFERENCE_STEPS_MAX`].
    #[must_use]
    pub fn steps(mut self, steps: impl Into<Option<u32>>) -> Self {
        self.input.num_inference_steps = steps.into();
        self
    }

    /// Sets how closely the model follows the prompt, from [`UsoInput::GUIDANCE_SCALE_MIN`] to
    /// [`UsoInput::GUIDANCE_SCALE_MAX`].
    #[must_use]
    pub fn guidance(mut self, scale: impl Into<Option<f64>>) -> Self {
        self.input.guidance_scale = scale.into();
        self
    }

    /// Sets the seed: the same seed gives the same picture. Without one a random seed is chosen.
    #[must_use]
    pub fn seed(mut self, seed: impl Into<Option<u64>>) -> Self {
        self.input.seed = seed.into();
        self
    }

    /// Sets the number of pictures, from [`UsoInput::NUM_IMAGES_MIN`] to
    /// [`UsoInput::NUM_IMAGES_MAX`]. Each is billed.
    #[must_use]
    pub fn images(mut self, count: impl Into<Option<u32>>) -> Self {
        self.input.num_images = count.into();
        self
    }

    /// Sets the file format of the new pictures.
    #[must_use]
    pub fn format(mut self, format: impl Into<Option<OutputFormat>>) -> Self {
        self.input.output_format = format.into();
        self
    }

    /// Turns the service's check for unsafe pictures on or off.
    #[must_use]
    pub fn safety_checker(mut self, on: impl Into<Option<bool>>) -> Self {
        self.input.enable_safety_checker = on.into();
        self
    }

    /// Sets the deadline for the service to start this job, in place of the client's. The service
    /// wants more than one second.
    #[must_use]
    pub fn start_within(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.terms.start_within = limit.into();
        self
    }

    /// Sends local pictures as they are. Otherwise they are made fit first: turned upright, shrunk
    /// to the 2048 pixels a side that the service takes, freed of metadata such as the place where
    /// a photo was taken, and converted to sRGB.
    #[must_use]
    pub fn without_fit(mut self) -> Self {
        self.fit = false;
        self
    }

    /// Sets how long the service keeps the new pictures and who may read them, in place of the
    /// account's settings.
    #[must_use]
    pub fn lifecycle(mut self, lifecycle: impl Into<Option<Lifecycle>>) -> Self {
        self.terms.lifecycle = lifecycle.into();
        self
    }

    /// Sets the URL that fal notifies when the job has ended: `https`, or `http` to this
    /// machine. A last path segment that cannot be guessed is added, so the receiver must accept
    /// any path below the URL's. A notification to that path proves the purchase even when the
    /// submit response was lost; see [`Client::adopt`](crate::Client::adopt), and
    /// [`webhook`](crate::webhook) for the receiver.
    ///
    /// ```
    /// use uso::Request;
    ///
    /// let request = Request::restyle("photo.jpg", "ink.webp").webhook("https://example.org/hook");
    /// ```
    #[must_use]
    pub fn webhook(mut self, url: impl Into<OptionalText>) -> Self {
        self.terms.webhook = url.into().0;
        self
    }

    /// Lets the job wait behind every request of normal priority.
    #[must_use]
    pub fn low_priority(mut self, on: bool) -> Self {
        self.terms.low_priority = on;
        self
    }

    /// Switches off the retries that the service itself makes when a runner fails.
    #[must_use]
    pub fn without_service_retries(mut self) -> Self {
        self.terms.no_service_retries = true;
        self
    }

    /// Keeps input and output out of the account's history.
    ///
    /// The result is then kept for an hour only, or six minutes from 10 KB on, and a purchase whose
    /// submit response is lost cannot be found in the account's list of requests.
    #[must_use]
    pub fn without_history(mut self) -> Self {
        self.terms.no_history = true;
        self
    }

    /// The endpoint's input as set so far, without the pictures that the roles name.
    pub fn input(&self) -> &UsoInput {
        &self.input
    }

    pub(crate) fn wants_fit(&self) -> bool {
        self.fit
    }

    pub(crate) fn content(&self) -> Option<&Reference> {
        self.content.as_ref()
    }

    /// The pictures with their roles, in the order in which the service takes them.
    pub(crate) fn references(&self) -> impl Iterator<Item = (&'static str, &Reference)> {
        let content = self.content.iter().map(|content| ("content", content));
        content.chain(["style", "extra style"].into_iter().zip(&self.styles))
    }

    /// How many pictures are local ones.
    pub(crate) fn local_pictures(&self) -> usize {
        let local = self.references().filter(|(_, picture)| !picture.is_url());
        local.count()
    }

    /// The input without its pictures, with a seed, and what is wrong with it.
    pub(crate) fn checked(&self) -> (UsoInput, Vec<Problem>) {
        let mut input = self.input.clone();
        let mut problems: Vec<Problem> = Vec::new();
        if let Err(violations) = input.validate() {
            problems.extend_from_slice(Error::from(violations).problems());
        }
        if let Some(Err(error)) = self.terms.webhook.as_deref().map(Webhook::new) {
            problems.extend_from_slice(error.problems());
        }
        if let Some(limit) = self.terms.start_within
            && limit <= Duration::from_secs(1)
        {
            let seconds = limit.as_secs_f64();
            let why = format!("{seconds} s is too short; give it more than one second");
            problems.push(Problem::new("start_within", why));
        }
        if input.input_image_urls.is_empty() && self.content.is_none() {
            problems.push(Problem::new(
                "input_image_urls",
                "it is empty; the content picture is missing",
            ));
        }
        input
            .seed
            .get_or_insert_with(|| fastrand::u64(..SEED_LIMIT));
        (input, problems)
    }
}
