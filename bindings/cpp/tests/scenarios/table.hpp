// Reads bindings/scenarios.txt; bindings/README.md says how. Everything unknown in it is a problem, so that no line is passed over.
#ifndef SCENARIOS_TABLE_HPP
#define SCENARIOS_TABLE_HPP

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace scenarios {

/// A line: its key, and the words behind it.
struct line {
    std::string key;
    std::vector<std::string> words;
};

struct scenario {
    std::string name;
    std::vector<line> lines;

    std::vector<const line *> all(std::string_view key) const
    {
        std::vector<const line *> found;

        for (const line &each : lines)
            if (each.key == key)
                found.push_back(&each);
        return found;
    }
    /// The first word of the last line with this key.
    std::optional<std::string> get(std::string_view key) const
    {
        const auto found = all(key);

        return found.empty() ? std::nullopt : std::optional(found.back()->words.at(0));
    }
};

struct table {
    std::vector<scenario> list;
    std::vector<line> base;
};

/// For each key the words that may follow, and how many words there are then; "" stands for any. The last word takes the rest.
inline const std::map<std::string, std::map<std::string, std::size_t>> vocabulary = {
    {"scenario", {{"", 1}}},
    {"like", {{"", 1}}},
    {"file", {{"", 2}}},
    {"toml", {{"", 1}}},
    {"arg", {{"", 1}}},
    {"stdin", {{"", 1}}},
    {"timeout", {{"", 1}}},
    {"deadline", {{"", 1}}},
    {"concurrent", {{"", 1}}},
    {"kind",
     {{"policy", 1}, {"attack", 1}, {"handler", 1}, {"limits", 1}, {"network", 1}, {"deferral", 1}, {"concurrent", 1}, {"cancel", 1},
      {"error", 1}}},
    {"rule",
     {{"allow-path", 3}, {"clear-env", 1}, {"set-env", 3}, {"unset-env", 2}, {"set-cwd", 2}, {"set-umask", 2}, {"syscalls", 2},
      {"allow-syscall", 2}, {"deny-syscall", 3}, {"limit", 3}, {"grace", 3}, {"flag", 2}, {"strictness", 3}, {"allow-net", 2},
      {"deny-net", 2}, {"allow-bind", 2}, {"deny-bind", 2}}},
    {"handler",
     {{"value", 3}, {"errno", 3}, {"pass", 2}, {"run", 2}, {"bytes", 4}, {"file", 4}, {"write", 3}, {"throws", 2}, {"silent", 2},
      {"kill", 2}, {"hangs", 2}, {"never", 2}, {"later-thread", 3}, {"later-loop", 3}, {"later-errno", 3}, {"gather", 4}}},
    {"step",
     {{"say", 2}, {"hear", 2}, {"asked", 1}, {"cancel", 1}, {"signal", 2}, {"net", 2}, {"net-none", 1}, {"net-reset", 1}}},
    {"expect",
     {{"reason", 2}, {"code", 2}, {"signal", 2}, {"limit", 2}, {"stdout", 2}, {"stdout-has", 2}, {"stdout-lacks", 2}, {"no-stdout", 1},
      {"stderr", 2}, {"stderr-has", 2}, {"no-stderr", 1}, {"error", 2}, {"stage", 2}, {"errno", 2}, {"message", 2}, {"calls", 2},
      {"file", 3}, {"gone", 2}}},
};

class reader {
public:
    explicit reader(std::istream &from)
    {
        for (std::string text; std::getline(from, text);) {
            number_++;
            if (text.empty() || text[0] == '#')
                continue;
            try {
                read(text);
            } catch (const std::runtime_error &why) {
                std::cout << "# line " << number_ << ": " << why.what() << "\n";
                problems_++;
            }
        }
    }

    const table &read_table() const { return table_; }
    bool bad() const { return problems_ > 0 || table_.list.empty(); }

private:
    static std::vector<std::string> split(std::string_view rest, std::size_t most)
    {
        std::vector<std::string> words;

        while (words.size() + 1 < most && rest.find(' ') != rest.npos) {
            words.emplace_back(rest.substr(0, rest.find(' ')));
            rest.remove_prefix(words.back().size() + 1);
        }
        words.emplace_back(rest);
        return words;
    }

    /// A word as it is meant: \n, \t, \0 and \\ are single bytes.
    static std::string plain(const std::string &word)
    {
        const std::map<char, char> escapes = {{'n', '\n'}, {'t', '\t'}, {'0', '\0'}, {'\\', '\\'}};
        std::string text;

        for (std::size_t i = 0; i < word.size(); i++) {
            if (word[i] != '\\') {
                text += word[i];
                continue;
            }
            const auto found = ++i < word.size() ? escapes.find(word[i]) : escapes.end();
            if (found == escapes.end())
                throw std::runtime_error("unknown escape in \"" + word + "\"");
            text += found->second;
        }
        return text;
    }

    static line words_of(const std::string &key, const std::string &rest)
    {
        const auto verbs = vocabulary.find(key);
        // The word of a handler is the second one; before it stands the call.
        const std::size_t at = key == "handler" ? 1 : 0;
        line line{key, {}};

        if (verbs == vocabulary.end())
            throw std::runtime_error("unknown key \"" + key + "\"");
        const auto start = split(rest, at + 2);
        auto verb = verbs->second.find("");
        if (verb == verbs->second.end() && start.size() > at)
            verb = verbs->second.find(start[at]);
        if (verb == verbs->second.end())
            throw std::runtime_error("unknown word after \"" + key + "\"");
        for (const std::string &word : split(rest, verb->second))
            line.words.push_back(plain(word));
        if (line.words.size() != verb->second)
            throw std::runtime_error("too few words after \"" + key + "\"");
        if (!verb->first.empty() && line.words[at] != verb->first)
            throw std::runtime_error("too many words after \"" + key + "\"");
        return line;
    }

    void read(const std::string &text)
    {
        const auto space = text.find(' ');
        const std::string key = text.substr(0, space), rest = space == text.npos ? "" : text.substr(space + 1);
        line line = words_of(key == "base" ? "rule" : key, rest);

        if (key == "base")
            table_.base.push_back(std::move(line));
        else if (key == "scenario")
            table_.list.push_back({line.words[0], {}});
        else if (table_.list.empty())
            throw std::runtime_error("before the first scenario stands \"" + key + "\"");
        else if (key == "like")
            add_like(line.words[0]);
        else
            table_.list.back().lines.push_back(std::move(line));
    }

    /// What another scenario says, but for what it expects.
    void add_like(const std::string &name)
    {
        const auto end = table_.list.end() - 1;
        const auto found = std::find_if(table_.list.begin(), end, [&](const scenario &each) { return each.name == name; });

        if (found == end)
            throw std::runtime_error("no scenario above is named \"" + name + "\"");
        for (const line &each : found->lines)
            if (each.key != "expect")
                end->lines.push_back(each);
    }

    table table_;
    int number_ = 0;
    int problems_ = 0;
};

} // namespace scenarios

#endif
