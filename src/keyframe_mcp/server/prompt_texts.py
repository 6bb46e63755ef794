"""The words of the prompts. Tools and arguments are named exactly; a test compares them with the schemas."""

from __future__ import annotations

KEEP = (
    "Slow is not lost: a shot may take ten minutes. Never start one again because of that; after a cut-off call repeat "
    "it with the same idempotency_key, or ask list_tasks(). A task that is `unknown` may be billed: tell me, make no "
    "other."
)

STORYBOARD = """\
Make a film of this script with the keyframe tools.

Script:
{script}

1. Plan {shots}. For each: what its first frame shows, what its last frame shows, and one or two sentences of motion \
between them (who moves, one camera move). The last frame of a shot is the first frame of the next, so there is one \
picture more than shots. Say people, clothes, place, light and lens in the same words for every picture. Show me the \
plan and wait for my word.
2. Get the pictures from me or an image tool. With none, make shot 1 with generate_t2v and each next one with \
generate_i2v(image="task:<id>"), which starts on the last frame of the one before.
3. {models}
4. Check and price every shot before any is made, with the call it will get: \
generate_flf2v(first_image="...", last_image="...", prompt="..."{settings}, dry_run=true). Tell me the sum of `cost` \
and what `budget` leaves, and wait for my yes.
5. Make each shot once: the same call without dry_run, with idempotency_key="<film>-shot-1", then 2, ... {keep}
6. get_task(task_ids=["..."], wait_seconds=30) until all are settled.
7. view_video(source="task:<id>") for each: its text says how like the given pictures the first and last frame are; \
look at the motion yourself. If one is wrong, say what and {again} once, with a key of its own; more takes only if I \
agree.
8. join_videos(sources=["task:<id>", "..."]) in story order, then view the film and tell me where it is."""

FIRST_LAST_FRAME = """\
Make one video with the keyframe tools that opens on one picture and ends on another.

First: {first_image}
Last: {last_image}
In between: {what_happens}

1. Look at both pictures if you can, and name what differs: pose, place, light, camera.
2. Write the motion prompt, 20 to 60 words: who or what moves, in which order, from the first picture's state to the \
last's; one camera move (still, pan, push in, orbit); what stays as it is. Tell movement, not looks: the model sees \
the pictures. No cuts. If they have little in common, say what carries one into the other, or propose a picture in \
between and two shots.
3. {models} Small changes take 4 to 5 s, a long way 8 to 10 s. Both pictures should have one shape; the first \
decides.
4. generate_flf2v(first_image="{first}", last_image="{last}", prompt="...", duration=5, dry_run=true): \
tell me `model` and `cost` before you spend.
5. The same without dry_run, with an idempotency_key. Then get_task(task_id="...", wait_seconds=30) until it is \
settled. {keep}
6. view_video(source="task:<id>"): its text says how like the given pictures its first and last frame are. Does \
anything melt, jump or appear from nowhere? Say so honestly. For another take change one thing only (the prompt, then \
the duration, then the model): {again}, with a key of its own, and only if I agree to pay again."""

EXTEND_CLIP = """\
Continue a video with the keyframe tools.

The clip: task:{task_id}, {mode} with {model}, {status}{length}.
It was asked for as: {prompt}
What happens next: {what_happens}

1. {first_step}
2. Write the motion prompt: begin in the middle of the movement the clip ends with, then what happens next; the same \
names for people, place and light as before; one camera move; no cut.
3. {models}
4. generate_i2v(image="task:{task_id}", prompt="...", model="...", dry_run=true): it starts on the clip's last frame. \
{price}
5. The same without dry_run, with idempotency_key="<new name>-1". get_task(task_id="...", wait_seconds=30) until it is \
settled. {keep}
6. view_video(source="task:<new id>"): does it go on without a jump in pose, light or size? If its end is soft or \
odd, do not build on it: ask me about another take.
7. {rounds}
8. join_videos(sources=["task:{task_id}", "task:<new id>", "..."]) in order, view the film, and tell me where it is."""

REGENERATE = 'regenerate(task_id="...", overrides={"prompt": "..."})'
