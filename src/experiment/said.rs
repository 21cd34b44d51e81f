//! What an invocation says of itself, in English and Chinese. What a run says stands in
//! `stats::words`.

use super::check::Held;
use super::recover::{Recovered, Unwritten};
use super::resume::CutOff;
use crate::lang::Lang;
use crate::record::Adaption;
use crate::stats::words::grouped;
use crate::store::saving::{HELD_BYTES, Trouble};

impl Lang {
    fn say(self, english: String, chinese: String) -> String {
        self.pick(english, chinese)
    }

    /// What a remark that is no warning begins with.
    pub fn note(self, text: &str) -> String {
        self.say(format!("note: {text}"), format!("注：{text}"))
    }

    pub fn results(self, folder: &str) -> String {
        self.say(format!("results: {folder}"), format!("结果：{folder}"))
    }

    /// A hook that keeps users from asking in time: turns that were late, of how many, by how much, and what a
    /// call takes.
    pub fn think_overrun(
        self,
        hook: &str,
        place: &str,
        (late, of): (u64, u64),
        by: &str,
        call: &str,
    ) -> String {
        self.say(
            format!(
                "think time overrun: `{hook}` at {place} takes {call} a call, and made {late} of {of} turns late by \
                 {by} on average; that is counted as thinking, not as latency"
            ),
            format!(
                "思考时间超限：{place} 的 `{hook}` 每次调用平均耗时 {call}，{of} 轮中有 {late} 轮平均推迟 {by}；\
                 这部分计入思考时间，不计入延迟"
            ),
        )
    }

    /// A run that `stop_when` has ended.
    pub fn stopped_by_script(self, place: &str) -> String {
        self.say(format!("ended by `stop_when` at {place}"), format!("由 {place} 的 `stop_when` 结束"))
    }

    /// Finished requests that `on_response` has not heard of.
    pub fn unheard(self, requests: u64) -> String {
        self.say(
            format!("`on_response` was too slow to hear of {requests} finished requests: its values are of the others"),
            format!("`on_response` 过慢，未能处理 {requests} 个已完成的请求：其数值只涵盖其余请求"),
        )
    }

    /// A hook whose calls take long.
    pub fn slow_hook(self, hook: &str, place: &str, calls: u64, call: &str) -> String {
        self.say(
            format!("`{hook}` at {place} is slow: {call} a call, {calls} calls"),
            format!("{place} 的 `{hook}` 较慢：共调用 {calls} 次，每次平均耗时 {call}"),
        )
    }

    pub fn wrote(self, path: &str) -> String {
        self.say(format!("wrote {path}"), format!("已写入 {path}"))
    }

    pub fn pages_left_out(self, pages: usize, of: &str) -> String {
        self.say(
            format!("{pages} more pages of {of} were not drawn: `rampant visualize` draws all"),
            format!("{of} 另有 {pages} 页未绘制：`rampant visualize` 会全部绘制"),
        )
    }

    /// What happened to the saving of rows.
    pub fn trouble(self, trouble: &Trouble) -> String {
        let held = crate::os::file::size(HELD_BYTES as u64);
        match trouble {
            Trouble::Failing(why) => self.say(
                format!("{why}; finished requests are held in memory, up to {held}, and writing is tried again"),
                format!("{why}；已完成的请求暂存于内存（最多 {held}），并继续尝试写入"),
            ),
            Trouble::Stalled => self.say(
                format!("the disk of the results does not answer; finished requests are held in memory, up to {held}"),
                format!("存放结果的磁盘没有响应；已完成的请求暂存于内存（最多 {held}）"),
            ),
            Trouble::Over => self.say(
                "results are written again; nothing is lost".into(),
                "结果已恢复写入，没有丢失".into(),
            ),
            Trouble::Full => self.say(
                format!("{held} of finished requests wait for the disk, and no more can be held: the load stops"),
                format!("已有 {held} 的完成请求在等待磁盘，无法再暂存：停止负载"),
            ),
        }
    }

    /// The end of an invocation that could not be noted.
    pub fn manifest_unwritten(self) -> String {
        self.say(
            "the end of this invocation is not in manifest.json: the disk does not answer".into(),
            "本次调用的结束未写入 manifest.json：磁盘没有响应".into(),
        )
    }

    /// What became of a folder that a killed process left.
    pub fn recovered(self, folder: &str, done: &Recovered) -> String {
        if done.live {
            return self.say(
                format!("a run is still going on in {folder}: nothing was changed, and what it has saved so far is read"),
                format!("{folder} 中仍有运行在进行：未作改动，读取目前已保存的内容"),
            );
        }
        let runs: Vec<&str> = done.runs.iter().map(|run| run.of.run.as_str()).collect();
        let (names, n) = (runs.join(self.pick(", ", "、")), runs.len());
        let requests = grouped(done.runs.iter().map(|run| run.requests).sum());
        if let Some(why) = &done.unwritten {
            let why = self.unwritten(why);
            let found = match (n, self) {
                (0, _) => String::new(),
                (_, Lang::English) => format!(" with {requests} finished requests of {names}"),
                (_, Lang::Chinese) => format!("（{names} 有 {requests} 个已完成的请求）"),
            };
            return self.say(
                format!(
                    "a killed process left {folder}{found}; {why}, so nothing is written: `aggregate`, `compare` and \
                     `visualize` read it as if it were completed, marked recovered"
                ),
                format!(
                    "{folder} 由被终止的进程遗留{found}；{why}，不写入任何内容：`aggregate`、`compare` 和 `visualize` \
                     按已补全读取，标记为 recovered"
                ),
            );
        }
        if done.is_nothing() {
            return self.say(format!("nothing is missing in {folder}"), format!("{folder} 没有缺失"));
        }
        let mut en = format!("completed {folder}, which was left by a killed process");
        let mut zh = format!("已补全被终止的进程遗留的 {folder}");
        if done.rows > 0 {
            let (rows, parts) = (grouped(done.rows), done.parts);
            let s = if parts == 1 { "" } else { "s" };
            en +=
                &format!("; {rows} finished requests of its journal are in requests/ now ({parts} part{s})");
            zh += &format!("；日志中的 {rows} 个已完成请求已写入 requests/（{parts} 个文件）");
        }
        if n > 0 && done.runs.iter().all(|run| run.requests == 0) {
            en += &format!("; nothing had finished of {names}, which is marked recovered");
            zh += &format!("；{names} 尚无已完成的请求，标记为 recovered");
        } else if n > 0 {
            en += &format!(
                "; numbers of {names} by the {requests} requests that had finished, marked recovered"
            );
            zh += &format!("；{names} 的数值由已完成的 {requests} 个请求算出，标记为 recovered");
        }
        if done.torn > 0 {
            en += &format!(
                "; {} bytes at the end were cut off while they were written, and are dropped",
                done.torn
            );
            zh += &format!("；末尾 {} 字节在写入时中断，已舍弃", done.torn);
        }
        self.say(en, zh)
    }

    fn unwritten(self, why: &Unwritten) -> String {
        match why {
            Unwritten::ReadOnly => self.say("it cannot be written to".into(), "目录不可写".into()),
            Unwritten::Old(version) => self.say(
                format!("a rampant of schema version {version} made it"),
                format!("它由架构版本 {version} 的 rampant 生成"),
            ),
            Unwritten::Failed(why) => why.clone(),
        }
    }

    /// An invocation goes on in a folder, of whose `cells` it skips some.
    pub fn going_on(self, folder: &str, skipped: &[String], cells: usize) -> String {
        let (n, names) = (skipped.len(), skipped.join(self.pick(", ", "、")));
        match n {
            0 => self.say(
                format!("going on in {folder}: none of its {cells} runs is there and whole"),
                format!("继续写入 {folder}：{cells} 次运行均不完整"),
            ),
            _ if n == cells => self.say(
                format!("all {cells} runs of {folder} are there and whole: nothing is sent"),
                format!("{folder} 的 {cells} 次运行均已完整：不发送任何请求"),
            ),
            _ => self.say(
                format!(
                    "going on in {folder}: skipped {n} of {cells} runs, which are there and whole: {names}"
                ),
                format!("继续写入 {folder}：跳过 {cells} 次运行中已完整的 {n} 次：{names}"),
            ),
        }
    }

    /// Why what there is of a run is not all of it.
    pub fn cut_off(self, why: &CutOff) -> String {
        match why {
            CutOff::Killed => self.say("its process was killed".into(), "进程被终止".into()),
            CutOff::Interrupted => self.say("it was interrupted".into(), "被中断".into()),
            CutOff::Early(why) => {
                let why = self.early(why);
                self.say(format!("it ended early: {why}"), format!("提前结束：{why}"))
            }
            CutOff::NothingSucceeded => {
                self.say("none of its requests succeeded".into(), "没有请求成功".into())
            }
            CutOff::Rows { there, of } => {
                self.say(format!("{there} of its {of} rows are there"), format!("{of} 行中只有 {there} 行"))
            }
        }
    }

    /// What becomes of a run that was cut off.
    pub fn measured_again(self, name: &str, why: &CutOff, rows: u64, place: &str) -> String {
        let (why, rows) = (self.cut_off(why), grouped(rows));
        self.say(
            format!(
                "{name} is measured again ({why}); its {rows} rows are kept in {place}, and count no more"
            ),
            format!("{name} 重新测量（{why}）；原有 {rows} 行保存在 {place}，不再计入"),
        )
    }

    /// A sweep that has not as many runs as it has cells.
    pub fn cells_missing(self, runs: usize, cells: u64) -> String {
        self.say(
            format!("{runs} of {cells} runs are there: the others were never made, or failed"),
            format!("共 {cells} 次运行，只有 {runs} 次：其余未进行或失败"),
        )
    }

    /// Letters that the font of PNG pictures lacks.
    pub fn boxes_in_pictures(self, letters: &str) -> String {
        let some: String = letters.chars().take(12).collect();
        self.say(
            format!("the font of PNG pictures lacks {some}, and shows boxes: the SVG beside each has them, and --title says another name"),
            format!("PNG 图片的字体没有 {some}，以方框代替：旁边的 SVG 可正常显示，也可用 --title 改写标题"),
        )
    }

    pub fn charts(self, folder: &str) -> String {
        self.say(format!("charts: {folder}"), format!("图表：{folder}"))
    }

    pub fn chart(self, path: &str) -> String {
        self.say(format!("chart: {path}"), format!("图表：{path}"))
    }

    /// A check as it falls: what stands out is what was not kept.
    pub fn check(self, told: &str, held: Held) -> String {
        match held {
            Held::Yes => self.say(format!("ok: {told}"), format!("通过：{told}")),
            Held::No => self.say(format!("FAILED: {told}"), format!("未通过：{told}")),
            Held::Undecided => self.say(format!("UNDECIDED: {told}"), format!("无法判定：{told}")),
        }
    }

    /// The end of a session in which all of several checks were kept.
    pub fn checks_held(self, of: usize) -> String {
        self.say(format!("all {of} checks ok"), format!("{of} 项检查全部通过"))
    }

    /// The end of a session in which checks did not hold.
    pub fn checks_failed(self, failed: &[String], of: usize) -> String {
        let (n, names) = (failed.len(), failed.join(if self == Lang::English { "; " } else { "；" }));
        self.say(
            format!("{n} of {of} checks failed: {names}"),
            format!("{of} 项检查中 {n} 项未通过：{names}"),
        )
    }

    /// The end of a session in which nothing failed, and these may be chance.
    pub fn checks_undecided(self, undecided: &[String], of: usize) -> String {
        let (n, names) = (undecided.len(), undecided.join(if self == Lang::English { "; " } else { "；" }));
        self.say(
            format!("{n} of {of} checks are undecided: {names}"),
            format!("{of} 项检查中 {n} 项无法判定：{names}"),
        )
    }

    /// What a file says that is written before the end.
    pub fn unfinished(self) -> String {
        self.say("it was stopped before its end".into(), "在结束之前被中止".into())
    }

    pub fn measure_longer(self) -> String {
        self.say(
            "measure longer, or move the limit; --undecided pass lets such checks pass".into(),
            "请延长测量时间或调整限值；--undecided pass 可让此类检查通过".into(),
        )
    }

    /// The end of a session with several problems; the others were told before.
    pub fn and_more(self, first: &str, more: usize) -> String {
        self.say(
            format!("{first} (and {more} more of this kind, above)"),
            format!("{first}（另有 {more} 个同类问题，见上文）"),
        )
    }

    pub fn not_valid(self, run: &str, verdict: &str) -> String {
        self.say(format!("run {run:?} is not valid: {verdict}"), format!("运行 {run:?} 无效：{verdict}"))
    }

    pub fn cell_failed(self, at: usize, of: usize, why: &str) -> String {
        self.say(format!("cell {at} of {of}: {why}"), format!("第 {at}/{of} 个单元：{why}"))
    }

    pub fn interrupted(self) -> String {
        self.say("interrupted; what was measured so far is kept".into(), "已中断；已测量的结果已保留".into())
    }

    /// A run that was interrupted, where its rows are, and how many requests have none.
    pub fn interrupted_run(self, place: &str, never_sent: u64, unrecorded: u64) -> String {
        let (mut en, mut zh) = (String::new(), String::new());
        if never_sent > 1 {
            en += &format!("; {never_sent} requests that were due were never sent (one row stands for them)");
            zh += &format!("；有 {never_sent} 个到时的请求未发出（以一行代表）");
        }
        if unrecorded > 0 {
            en += &format!("; {unrecorded} requests in flight were given up without a row");
            zh += &format!("；放弃了 {unrecorded} 个进行中的请求，没有记录");
        }
        self.say(
            format!("interrupted; what was finished is in {place}{en}"),
            format!("已中断；已完成的部分在 {place}{zh}"),
        )
    }

    /// An interrupted run that was given no time to write its last rows.
    pub fn interrupted_at_once(self, place: &str, run: &str) -> String {
        self.say(
            format!("interrupted; what was finished is in {place}, less those rows of {run} that the disk had not taken yet, for which there was no time"),
            format!("已中断；已完成的部分在 {place}，但 {run} 尚未写入磁盘的记录来不及写入"),
        )
    }

    /// The end of a run whose rows are written, and whose JSON is not.
    pub fn interrupted_unsaved(self) -> String {
        self.say(
            "interrupted; what was measured so far is kept, less vLLM's JSON, for which there was no time"
                .into(),
            "已中断；已测数据保留，但 vLLM 的 JSON 来不及写入".into(),
        )
    }

    /// The first Ctrl-C.
    pub fn stopping(self, flying: u64) -> String {
        let what = if flying == 1 { "1 request".into() } else { format!("{flying} requests") };
        self.say(
            format!("stopping: waiting for {what} in flight (Ctrl-C again ends the wait)"),
            format!("正在停止：等待 {flying} 个进行中的请求（再按 Ctrl-C 立即结束）"),
        )
    }

    /// A server that is not there yet, and is asked again for so many seconds; without a time it is
    /// its answer that is awaited.
    pub fn waiting(self, seconds: Option<u64>, what: &str) -> String {
        let pairs = [
            (" is not ready: ", " 尚未就绪："),
            (" says: ", " 返回："),
            (" to answer, up to ", " 的应答，最长 "),
            ("the list of models of ", "模型列表："),
            ("the first reply of ", "首个回复："),
            (", up to ", "，最长 "),
        ];
        let chinese = pairs.iter().fold(what.to_string(), |text, (en, zh)| text.replace(en, zh));
        match seconds {
            Some(seconds) => self.say(
                format!("waiting up to {seconds} s more, since {what} (Ctrl-C ends the wait)"),
                format!("最多再等 {seconds} 秒（按 Ctrl-C 结束等待）：{chinese}"),
            ),
            None => self.say(
                format!("waiting for {what} (Ctrl-C ends the wait)"),
                format!("正在等待（按 Ctrl-C 结束等待）：{chinese}"),
            ),
        }
    }

    pub fn model_not_listed(self, server: &str, model: &str, listed: &str) -> String {
        self.say(
            format!("{server} does not list model {model:?}; it lists {listed}"),
            format!("{server} 的模型列表中没有 {model:?}，有 {listed}"),
        )
    }

    /// `english`: the whole sentence.
    pub fn no_tokenizer(self, name: &str, english: &str) -> String {
        self.say(english.into(), format!("找不到 {name:?} 的分词器，提示由常用英文词组成"))
    }

    /// Requests before the load.
    pub fn tried(self, requests: u32, tokens: u32) -> String {
        let s = if requests == 1 { "" } else { "s" };
        self.say(
            format!(
                "{requests} request{s} with {tokens} output tokens went ahead to try key, path and body, and stand in no result"
            ),
            format!("事先发出 {requests} 个请求（输出 {tokens} 令牌）以检验密钥、路径和请求体，不计入结果"),
        )
    }

    /// Tokens that a server counts beyond the prompt.
    pub fn overhead(self, tokens: i64) -> String {
        let s = if tokens.abs() == 1 { "" } else { "s" };
        self.say(
            format!("the server counts {tokens} token{s} more per prompt than asked (BOS, chat template)"),
            format!("服务器对每个提示多计 {tokens} 个令牌（BOS、聊天模板）"),
        )
    }

    pub fn keeps_no_length(self) -> String {
        self.say(
            "the server does not keep to the asked reply length".into(),
            "服务器不遵守要求的回复长度".into(),
        )
    }

    pub fn adaptions(self, adaptions: &[Adaption]) -> impl Iterator<Item = String> {
        adaptions.iter().map(move |adaption| self.adaption(adaption))
    }

    /// Entries of a data set that were left out; `first`: place and fault of the first.
    pub fn skipped(self, file: &str, count: u64, of: u64, first: &str) -> String {
        let (count, of) = (grouped(count), grouped(of));
        self.say(
            format!("{file}: skipped {count} of {of}: first at {first}"),
            format!("{file}：跳过 {of} 条中的 {count} 条，第一条：{first}"),
        )
    }

    /// Rows of a trace that ask nothing.
    pub fn left_out_of_trace(self, file: &str, count: &str) -> String {
        self.say(
            format!("{file}: {count} rows whose prompt or reply has no tokens are left out"),
            format!("{file}：略去 {count} 行，其提示或回复没有 token"),
        )
    }

    pub fn no_results(self, folder: &str) -> String {
        self.say(format!("no results in {folder}"), format!("{folder} 中没有结果"))
    }

    /// The heads of the table of results folders.
    pub fn folders(self) -> [&'static str; 5] {
        match self {
            Lang::English => ["folder", "started", "model", "runs", "requests"],
            Lang::Chinese => ["文件夹", "开始时间", "模型", "运行数", "请求数"],
        }
    }

    /// Why a run ended before its time.
    pub fn early(self, why: &str) -> String {
        if self == Lang::English {
            return why.into();
        }
        if let Some(n) = why.strip_suffix(" failures in a row to connect") {
            return format!("连续 {n} 次无法连接");
        }
        if why == super::measure::UNSAVED {
            return "磁盘无法写入，结果已无法继续暂存".into();
        }
        let outage = why.strip_prefix("no connection for ").and_then(|rest| rest.split_once(" s ("));
        if let Some((seconds, rest)) = outage {
            let n = rest.split(' ').next().unwrap_or_default();
            return format!("{seconds} 秒内无法连接（连续失败 {n} 次）");
        }
        match why.split_once(" requests failed, more than ") {
            Some((part, most)) => format!("{} 个请求失败，超过 {most}", part.replace(" of ", " / ")),
            None => why
                .split_once(" failed requests, more than ")
                .map_or(why.into(), |(n, most)| format!("{n} 个请求失败，超过 {most} 个")),
        }
    }
}
