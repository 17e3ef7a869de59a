"""A panda: one model trained with all it is given, and changed by hand while it trains.

Everything follows from one idea: **the weights after any epoch are a function of the schedule up to there**. A
schedule (`schedule`) is the seed, the hyperparameters of the start, and the changes, each with the number of epochs
after which it took effect. Training is deterministic, the order of batches depends on seed, epoch and batch size
alone, so whoever has the schedule has the model: replaying it is the proof, and the way back from any loss.

*What is stored.* `pandas/ID/` in storage, as a sweep is: an append-only journal of objects, which only the process
that trains may write, holds

- `created` (the spec, the data's digest, the start), `attempt` (somebody trains), `evaluated` (rows of epochs),
- `changed` (the epochs trained before it takes effect, the values), `rewound` (the epoch, the values set there),
  `prolonged` (the new number of epochs), `refused` (what was asked and cannot be, and why),
- `result` and `ended`. A panda that has ended is taken up again by `attempt`.

`chronicle` folds it: the present line of epochs, its schedule, what was asked and is done. `state/` holds weights
and optimizer after some epochs (`states`), each named by its epoch and a digest of the schedule up to there. So a
state can be missing (it is trained again from the one before), but never be that of another line. A state is written
before the journal tells of its epoch; a kill between the two loses seconds of training, which come out the same.

*What is asked* goes into `inbox/`, an object a request (`requests`), from the command line or from tags of the run in
MLflow. The training process looks after every epoch, writes what it did into the journal with the request's name,
then removes the request: killed in between, it finds the name in the journal and does nothing twice. What was asked
by tag may be done twice, if MLflow's answer was lost; a setting is the same when it is set twice. What waits there
while nobody trains is part of how the panda will stand (`outlook`), and is done by the next attempt before its first
epoch; a tag that was set meanwhile is answered and dropped, for its place on the line would be an accident.

*What can change* (`settings`): what an epoch is trained with, and not what the weights are: learning_rate, momentum,
beta1, beta2, epsilon, weight_decay, decay_rate, decay_every, batch_size. Nothing of the optimizer's memory is reset;
Adam's correction for its start is by the present betas, and that of batch norm's averages by the present batch size.
A learning rate that is set is that of the next epoch: its decay counts from there. With another batch size the next
epoch is a pass in the order of that batch size (of a virtual epoch: the rows from `epoch * steps` on).

*Rewinding* to epoch 12 cuts the line after it: later epochs, and changes that took effect after 12 epochs or more,
are no longer part of the schedule; they stay in the journal. The hyperparameters are those of then, unless new ones
are set with the same request.

*Fanning out* trains continuations from an epoch of the line beside the panda, without touching it; the best is adopted
by a rewind that sets its values, on this very line or not at all. *Adopting* a sweep's trial makes a panda whose
schedule is the trial's seed and hyperparameters, whose line begins with the trial's evaluations, and whose first state
is the trial's.

*In MLflow* a panda is one run. The step of its metrics is the number of epochs trained altogether, those of cut lines
included, so that steps only grow; the metric `epoch` is the place on the line, and falls at a rewind. `change` is 1
where something took effect; each hyperparameter that was changed is a metric, too; the run's description lists all.
The continuations of a fan-out whose best was adopted are runs below it.

*In the end* the model is the network at the best evaluation of the line (or the last: `objective.select`), measured
on the holdout. It is not trained again on more rows: its schedule was found on these. `schedule.json` lies in it.
"""
